"""A storage of its own for each test."""

from tests.app.images.conftest import _in_own_storage

__all__ = ["_in_own_storage"]

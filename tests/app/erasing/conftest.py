"""A storage of its own for each test."""

from tests.app.images.conftest import _own_storage

__all__ = ["_own_storage"]

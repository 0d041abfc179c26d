"""The address that a project gets from its name: by one table here and in tests/scripts/slug.test.js."""

import json
from pathlib import Path

import pytest

from app.projects.founding import slug_for

NAMES = json.loads((Path(__file__).resolve().parents[2] / "slugs.json").read_text("utf-8"))


@pytest.mark.parametrize(("name", "slug"), NAMES.items())
def test_the_address_of_a_project(name: str, slug: str | None) -> None:
    made = slug_for(name)
    # A name without a Latin letter or digit gets what only the server can make.
    assert made == slug if slug else made.startswith("x-")

"""Searching attributes and reading versions."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.freezing import freeze_version
from app.criteria.reading import (
    current_version,
    get_version,
    nodes_by_key,
    version_criteria,
    working_criteria,
)
from app.criteria.searching import search_attributes
from app.errors import Conflict, NotFound
from taxonomy.formats.json import sha256
from taxonomy.tree import Criteria
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast


def names(db: Session, people: Cast, text: str) -> list[str]:
    return [found.name for found in search_attributes(db, people.project, text)]


def test_names_that_start_with_the_text_come_first(db: Session, people: Cast) -> None:
    assert names(db, people, "CLEAR") == ["Clear edges", "One clear source"]
    assert names(db, people, "glow") == ["Glow", "Chalky glow"]
    # By path: everything under “Light”; then the definition that speaks of light.
    assert names(db, people, "source of light shadows") == [
        "Contradicting shadows",
        "One clear source",
    ]
    assert names(db, people, "no end") == ["Blurred edges"]
    assert names(db, people, "  ") == []
    assert names(db, people, "zebra") == []


def test_what_is_found_has_its_place(db: Session, people: Cast) -> None:
    (found,) = search_attributes(db, people.project, "contradicting")
    assert (found.key, found.polarity) == ("clear-source", "negative")
    assert found.path == ("Light", "Source of light")
    assert found.node_id == nodes_by_key(db, people.project)["clear-source"].id


def test_retired_attributes_are_not_found(db: Session, people: Cast) -> None:
    node = nodes_by_key(db, people.project)["source"]
    node.retired = True
    db.commit()
    assert names(db, people, "clear") == ["Clear edges"]


def test_a_program_searches(
    api: TestClient, token_for: Callable[[Person], dict[str, str]], people: Cast
) -> None:
    here = "/api/v1/projects/paintings/criteria/search"
    answer = api.get(here, params={"q": "clear", "limit": 1}, headers=token_for(people.ben))
    assert [item["name"] for item in answer.json()["items"]] == ["Clear edges"]
    assert api.get(here, params={"q": "x"}, headers=token_for(people.dora)).status_code == 404


def test_versions_are_numbered_hashed_and_read_back(db: Session, people: Cast) -> None:
    assert current_version(db, people.project) is None
    first = freeze_version(db, people.project, note="one", by=people.ada)
    assert (first.number, first.sha256) == (1, sha256(SMALL))
    with pytest.raises(Conflict, match="Nothing changed since version 1"):
        freeze_version(db, people.project, by=people.ada)
    nodes_by_key(db, people.project)["edges"].name = "Edge"
    second = freeze_version(db, people.project, by=people.ada)
    db.commit()
    db.expunge_all()
    current = current_version(db, people.project)
    assert current is not None
    assert current.number == second.number == 2
    assert version_criteria(current) == working_criteria(db, people.project)
    assert version_criteria(get_version(db, people.project, 1)) == SMALL
    with pytest.raises(NotFound):
        get_version(db, people.project, 3)


def test_a_project_without_criteria_has_an_empty_tree(
    db: Session, make: Make, people: Cast
) -> None:
    assert working_criteria(db, make.project("bare", name="Bare")) == Criteria("Bare")
    assert working_criteria(db, people.project) == SMALL

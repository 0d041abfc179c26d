"""Putting a whole tree into an empty project."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.freezing import freeze_version
from app.criteria.history import find_changes
from app.criteria.loading import load_criteria
from app.criteria.models import Node
from app.criteria.reading import nodes_by_key, working_criteria
from app.errors import Conflict, Invalid
from taxonomy.formats.json import read_json, sha256
from taxonomy.formats.yaml import read_yaml, write_yaml
from taxonomy.shipped import painting_criteria
from taxonomy.tree import Attribute, Criteria, Dimension, Pair
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast, cast
from tests.taxonomy.strategies import change_node
from tests.taxonomy.trees import telling_tree

SignIn = Callable[[TestClient, Person], TestClient]
HERE = "/projects/paintings/criteria"


@pytest.fixture
def empty(make: Make) -> Cast:
    """The cast around a project without criteria."""
    return cast(make)


def test_the_shipped_tree_comes_back_whole_after_few_statements(db: Session, empty: Cast) -> None:
    statements: list[str] = []

    def note(*values: Any) -> None:
        statements.append(values[2])

    criteria = painting_criteria()
    event.listen(db.get_bind(), "before_cursor_execute", note)
    load_criteria(db, empty.project, criteria, by=empty.ada)
    event.remove(db.get_bind(), "before_cursor_execute", note)
    db.commit()
    assert len(statements) < 16
    assert working_criteria(db, empty.project) == criteria
    (change,) = find_changes(db, empty.project)
    assert (change.kind, change.by, change.revision) == ("loaded", "Ada", 1)
    assert change.after is not None
    assert change.after["pairs"] == len(criteria.pairs())


def test_all_that_nodes_say_is_kept_and_written_out_again(
    db: Session, empty: Cast, browser: TestClient, sign_in: SignIn
) -> None:
    said = change_node(
        telling_tree(), "balance", lambda p: replace(p, relation="graded", source="A")
    )
    load_criteria(db, empty.project, said, by=empty.ada)
    db.commit()
    assert working_criteria(db, empty.project) == said
    assert freeze_version(db, empty.project, by=empty.ada).sha256 == sha256(said)
    db.commit()
    for query in ("", "?version=1"):
        text = sign_in(browser, empty.ada).get(f"{HERE}/export{query}").text
        assert text == write_yaml(said)


def test_a_project_with_criteria_is_refused(db: Session, people: Cast) -> None:
    with pytest.raises(Conflict, match="has criteria already"):
        load_criteria(db, people.project, SMALL, by=people.ada)
    assert working_criteria(db, people.project) == SMALL


def test_a_key_that_stands_twice_is_refused_whole(db: Session, empty: Cast) -> None:
    pair = Pair("twice", "opposed", Attribute("A"), Attribute("B"))
    tree = Criteria("Wrong", dimensions=(Dimension("twice", "Once", pairs=(pair,)),))
    with pytest.raises(Invalid, match="twice"):
        load_criteria(db, empty.project, tree, by=empty.ada)
    assert db.scalar(select(func.count()).select_from(Node)) == 0


def test_a_file_is_loaded_and_exported_again(
    browser: TestClient, sign_in: SignIn, empty: Cast
) -> None:
    sign_in(browser, empty.ada)
    assert "No criteria yet" in browser.get(HERE).text
    assert browser.get(f"{HERE}/import").status_code == 200
    file = {"file": ("small.yaml", write_yaml(SMALL).encode())}
    answer = browser.post(f"{HERE}/import", files=file)
    assert (answer.status_code, answer.headers["location"]) == (303, HERE)
    assert "One clear source" in browser.get(HERE).text
    exported = browser.get(f"{HERE}/export")
    assert "paintings-criteria-working.yaml" in exported.headers["content-disposition"]
    assert read_yaml(exported.text) == SMALL
    assert read_json(browser.get(f"{HERE}/export?format=json").text) == SMALL


def test_every_fault_of_a_file_is_shown_and_nothing_is_loaded(
    browser: TestClient, sign_in: SignIn, empty: Cast, db: Session
) -> None:
    sign_in(browser, empty.ada)
    text = write_yaml(SMALL).replace("relation: flaw", "relation: odd").replace("Edges", "12", 1)
    answer = browser.post(f"{HERE}/import", files={"file": ("small.yaml", text.encode())})
    assert answer.status_code == 422
    assert "2 things to put right" in answer.text
    assert "must be opposed or flaw" in answer.text
    assert "must be text" in answer.text
    assert nodes_by_key(db, empty.project) == {}


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"format: morelli-criteria/1\n"])
def test_a_file_that_is_no_criteria_is_refused(
    browser: TestClient, sign_in: SignIn, empty: Cast, content: bytes
) -> None:
    sign_in(browser, empty.ada)
    answer = browser.post(f"{HERE}/import", files={"file": ("x.yaml", content)})
    assert answer.status_code == 422
    assert "Nothing was loaded" in answer.text


def test_no_file_at_all_is_refused(browser: TestClient, sign_in: SignIn, empty: Cast) -> None:
    sign_in(browser, empty.ada)
    answer = browser.post(f"{HERE}/import", files={"file": ("", b"")})
    assert answer.status_code == 422
    assert "Please choose a file" in answer.text


def test_one_can_begin_with_the_criteria_for_paintings(
    browser: TestClient, sign_in: SignIn, empty: Cast, db: Session
) -> None:
    sign_in(browser, empty.ada)
    assert browser.post(f"{HERE}/import/painting").status_code == 303
    assert working_criteria(db, empty.project) == painting_criteria()
    again = browser.post(f"{HERE}/import/painting")
    assert again.status_code == 409
    assert "has criteria already" in again.text


def test_a_program_loads_criteria(
    api: TestClient, token_for: Callable[[Person], dict[str, str]], empty: Cast
) -> None:
    here = "/api/v1/projects/paintings/criteria"
    headers = token_for(empty.ada)
    wrong = api.post(f"{here}/import", json={"content": "name: 1"}, headers=headers)
    assert wrong.status_code == 422
    assert len(wrong.json()["problems"]) == 3
    loaded = api.post(f"{here}/import", json={"content": write_yaml(SMALL)}, headers=headers)
    assert loaded.status_code == 201
    assert loaded.json() == {"name": "Small", "dimensions": 3, "pairs": 3, "revision": 1}
    again = api.post(f"{here}/import", json={"content": write_yaml(SMALL)}, headers=headers)
    assert again.status_code == 409
    exported = api.get(f"{here}/export?format=yaml", headers=headers)
    assert read_yaml(exported.text) == SMALL


def test_only_experts_load_criteria(
    browser: TestClient, sign_in: SignIn, empty: Cast, db: Session
) -> None:
    file = {"file": ("small.yaml", write_yaml(SMALL).encode())}
    for person, status in ((empty.ben, 403), (empty.dora, 404)):
        sign_in(browser, person)
        assert browser.get(f"{HERE}/import").status_code == status
        assert browser.post(f"{HERE}/import", files=file).status_code == status
        assert browser.post(f"{HERE}/import/painting").status_code == status
    assert nodes_by_key(db, empty.project) == {}

"""Putting faults right from the page of the checks, with one click."""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.history import find_changes
from app.criteria.importing import import_criteria
from app.criteria.reading import get_criteria, working_criteria
from app.versions.undoing import undo
from tests.app.criteria.trees import SMALL
from tests.people import Cast
from tests.taxonomy.strategies import change_node

SignIn = Callable[[TestClient, Person], TestClient]
HERE = "/projects/paintings/criteria"
UNTIDY = change_node(SMALL, "edges", lambda each: replace(each, name="Edges  of forms"))


def test_a_fault_is_put_right_with_one_click_and_that_can_be_undone(
    browser: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    import_criteria(db, people.project, UNTIDY, based_on=1, by=people.lea)
    db.commit()
    sign_in(browser, people.ben)
    assert "Tidy the name" not in browser.get(f"{HERE}/publish").text
    fields = {"code": "untidy-name", "key": "edges", "based_on": "2"}
    assert browser.post(f"{HERE}/publish/fix", data=fields).status_code == 403
    sign_in(browser, people.ada)
    assert "Tidy the name" in browser.get(f"{HERE}/publish").text
    assert browser.post(f"{HERE}/publish/fix", data=fields).status_code == 303
    assert working_criteria(db, people.project).dimension("edges").name == "Edges of forms"
    change = find_changes(db, people.project)[0]
    assert change.sentence == "Put a fault of the dimension “Edges  of forms” right."
    undo(db, people.project, change.revision, by=people.ada)
    assert working_criteria(db, people.project) == UNTIDY


def test_what_is_right_by_now_or_changed_since_is_said(
    browser: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    sign_in(browser, people.ada)
    fields = {"code": "untidy-name", "key": "edges", "based_on": "1"}
    again = browser.post(f"{HERE}/publish/fix", data=fields)
    assert again.status_code == 409
    assert "nothing to put right here any more" in again.text
    import_criteria(db, people.project, UNTIDY, based_on=1, by=people.lea)
    db.commit()
    stale = browser.post(f"{HERE}/publish/fix", data=fields)
    assert stale.status_code == 412
    assert get_criteria(db, people.project).revision == 2

"""Where a node may go, and moving it there: by verb, by page and by program."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.editing import add_dimension, rename
from app.criteria.history import find_changes
from app.criteria.placing import find_places, move
from app.criteria.reading import working_criteria
from app.criteria.retiring import retire
from app.errors import Conflict, Invalid
from tests.app.criteria.trees import SMALL
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = "/api/v1/projects/paintings/criteria"


def problems(db: Session, people: Cast, key: str) -> dict[str | None, str | None]:
    return {each.key: each.problem for each in find_places(db, people.project, key)[0]}


def test_places_say_before_a_move_what_the_move_would_say(db: Session, people: Cast) -> None:
    add_dimension(db, people.project, parent="edges", name="Source of light", by=people.ada)
    add_dimension(db, people.project, parent="source", name="Deep", by=people.ada)
    retire(db, people.project, "edges", based_on=1, by=people.lea)
    found = problems(db, people, "light")
    assert list(found) == [None, "light", "source", "deep", "edges", "source-of-light"]
    assert found[None] is None
    for parent, problem in found.items():
        if problem is None:
            continue
        with pytest.raises((Invalid, Conflict), match=problem):
            move(db, people.project, "light", parent=parent, based_on=1, by=people.ada)
    assert found["source"] == "“Light” cannot stand below itself."
    assert found["edges"] == "“Edges” is retired; nothing can be put below it."


def test_depth_and_taken_names_stand_against_a_move(db: Session, people: Cast) -> None:
    add_dimension(db, people.project, parent="edges", name="SOURCE of light", by=people.ada)
    add_dimension(db, people.project, parent="source", name="Deep", by=people.ada)
    found = problems(db, people, "source")
    assert found["edges"] == "The name “Source of light” is taken: Edges › SOURCE of light."
    assert found["source-of-light"] == (
        "These criteria have at most 4 levels, so there is no room for “Source of light” there."
    )
    with pytest.raises(Conflict, match="is taken"):
        move(db, people.project, "source", parent="edges", based_on=1, by=people.ada)
    # Where it stands it may change places, whatever the names.
    assert found["light"] is None


def test_places_are_found_by_words_and_come_page_by_page(db: Session, people: Cast) -> None:
    for number in range(5):
        add_dimension(db, people.project, parent="edges", name=f"Edge {number}", by=people.ada)
    keys, after = [], None
    while True:
        page, after = find_places(db, people.project, "light", after=after, limit=3)
        keys += [each.key for each in page]
        if after is None:
            break
    assert keys == [None, "light", "source", "edges", *(f"edge-{number}" for number in range(5))]
    found, more = find_places(db, people.project, "glow", text="edge 3")
    assert ([each.path for each in found], more) == ([("Edges", "Edge 3")], None)
    here, _ = find_places(db, people.project, "glow")
    # A pair stands at no top.
    assert [each.key for each in here if each.is_here] == ["light"]
    assert None not in [each.key for each in here]


def test_a_place_is_searched_looked_at_and_taken(
    browser: TestClient, htmx: TestClient, sign_in: SignIn, db: Session, people: Cast
) -> None:
    sign_in(browser, people.ada)
    sign_in(htmx, people.ada)
    assert f'href="{HERE}/nodes/glow/move"' in browser.get(f"{HERE}?node=glow").text
    page = browser.get(f"{HERE}/nodes/glow/move?q=edges").text
    assert f'href="{HERE}/nodes/glow/move?to=edges"' in page
    assert f'href="{HERE}/nodes/glow/move?to=light"' not in page
    assert "No dimension has these words." in browser.get(f"{HERE}/nodes/glow/move?q=zebra").text
    chosen = htmx.get(f"{HERE}/nodes/glow/move?to=edges").text
    assert "Before “Clear edges / Blurred edges”" in chosen
    body = {"based_on": 1, "parent": "edges", "before": "clear-edges"}
    answer = htmx.post(f"{HERE}/nodes/glow/move", data=body)
    assert answer.headers["HX-Redirect"] == f"{HERE}?node=glow"
    pairs = working_criteria(db, people.project).dimension("edges").pairs
    assert [each.key for each in pairs] == ["glow", "clear-edges"]
    # What follows it is chosen where it only changes places.
    again = browser.get(f"{HERE}/nodes/glow/move?to=edges").text
    assert '<option value="clear-edges" selected>' in again
    undone = browser.post(f"{HERE}/changes/2/undo")
    assert undone.headers["location"] == f"{HERE}?node=glow"
    assert working_criteria(db, people.project) == SMALL


def test_a_dimension_goes_to_the_top(browser: TestClient, sign_in: SignIn, people: Cast) -> None:
    sign_in(browser, people.ada)
    assert "The top of the tree" in browser.get(f"{HERE}/nodes/source/move").text
    assert "Before “Light”" in browser.get(f"{HERE}/nodes/source/move?to=").text
    answer = browser.post(f"{HERE}/nodes/source/move", data={"based_on": 1, "before": "light"})
    assert answer.headers["location"] == f"{HERE}?node=source"
    assert "Root dimension" in browser.get(f"{HERE}?node=source").text


def test_what_cannot_be_is_said_before_and_what_changed_since_is_shown(
    browser: TestClient, sign_in: SignIn, db: Session, people: Cast
) -> None:
    sign_in(browser, people.ada)
    page = browser.get(f"{HERE}/nodes/light/move?to=source").text
    assert "“Light” cannot stand below itself." in page
    assert 'name="before"' not in page
    body = {"based_on": 1, "parent": "edges", "before": "glow"}
    wrong = browser.post(f"{HERE}/nodes/glow/move", data=body)
    assert (wrong.status_code, "below itself" in wrong.text) == (422, False)
    assert "does not stand there" in wrong.text
    rename(db, people.project, "glow", based_on=1, by=people.lea, positive="Shine")
    db.commit()
    stale = browser.post(f"{HERE}/nodes/glow/move", data=body | {"before": "clear-edges"})
    assert stale.status_code == 412
    assert "Lea changed “Shine / Chalky glow”" in stale.text
    assert "Move all the same" in stale.text
    assert '<option value="clear-edges" selected>' in stale.text
    assert [each.kind for each in find_changes(db, people.project)] == ["renamed", "loaded"]
    assert browser.get(f"{HERE}/nodes/glow/move?to=nowhere").status_code == 404


def test_programs_ask_for_places(api: TestClient, token_for: Tokens, people: Cast) -> None:
    mine = token_for(people.ada)
    found = api.get(f"{API}/nodes/source/places?limit=2", headers=mine).json()
    assert [each["key"] for each in found["items"]] == [None, "light", "source"]
    assert found["next"] == "source"
    assert found["items"][1] == {
        "key": "light", "name": "Light", "path": ["Light"], "is_here": True, "problem": None,
    }  # fmt: skip
    rest = api.get(f"{API}/nodes/source/places?after=source", headers=mine).json()
    assert ([each["key"] for each in rest["items"]], rest["next"]) == (["edges"], None)
    assert api.get(f"{API}/nodes/nowhere/places", headers=mine).status_code == 404


def test_annotators_move_nothing(browser: TestClient, sign_in: SignIn, people: Cast) -> None:
    sign_in(browser, people.ben)
    assert browser.get(f"{HERE}/nodes/glow/move").status_code == 403
    assert browser.post(f"{HERE}/nodes/glow/move", data={"based_on": 1}).status_code == 403
    assert "nodes/glow/move" not in browser.get(f"{HERE}?node=glow").text

"""Renaming, describing and adding: by page, by htmx and by API."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import database
from app.accounts.models import Person
from app.criteria.editing import add_dimension, add_pair, describe, rename, revise
from app.criteria.history import find_changes
from app.criteria.models import Node
from app.criteria.reading import get_criteria, get_node, nodes_by_key, working_criteria
from app.criteria.retiring import retire
from app.errors import AppError, Conflict, Invalid, NotFound, Stale
from taxonomy.tree import Attribute
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = "/api/v1/projects/paintings/criteria"
PAIR = {"positive_name": "Sharp edges", "negative_name": "Soft edges"}


def node(db: Session, people: Cast, key: str) -> Node:
    db.expire_all()
    return get_node(db, people.project, key)


# Verbs ---------------------------------------------------------------------------------------


def test_a_rename_is_one_recorded_change(db: Session, people: Cast) -> None:
    rename(
        db,
        people.project,
        "clear-edges",
        based_on=1,
        by=people.ada,
        positive="  Sharp\u00a0 edges ",
        negative="Blurred edges",
    )
    db.commit()
    changed = node(db, people, "clear-edges")
    assert (changed.positive_name, changed.revision) == ("Sharp edges", 2)
    change = find_changes(db, people.project)[0]
    assert (change.kind, change.revision, change.by) == ("renamed", 2, "Ada")
    assert change.before == {"positive_name": "Clear edges"}
    assert change.after == {"positive_name": "Sharp edges"}
    assert get_criteria(db, people.project).revision == 2


def test_the_same_name_again_is_no_change(db: Session, people: Cast) -> None:
    rename(db, people.project, "edges", based_on=1, by=people.ada, name="Edges ")
    assert node(db, people, "edges").revision == 1
    assert len(find_changes(db, people.project)) == 1


@pytest.mark.parametrize(
    ("key", "names", "message"),
    [
        ("edges", {"name": "  "}, "empty"),
        ("edges", {"name": "x" * 81}, "81 characters"),
        ("edges", {"positive": "x"}, "is a dimension"),
        ("clear-edges", {"name": "x"}, "is a pair"),
        ("clear-edges", {"positive": "a, b"}, "comma"),
        ("clear-edges", {"negative": "a\x00b"}, "invisible"),
        ("clear-edges", {}, "Nothing was given"),
    ],
)
def test_bad_names_are_refused(
    db: Session, people: Cast, key: str, names: dict[str, str], message: str
) -> None:
    with pytest.raises(Invalid, match=message):
        rename(db, people.project, key, based_on=1, by=people.ada, **names)
    assert len(find_changes(db, people.project)) == 1


def test_a_taken_name_is_refused_with_its_place(db: Session, people: Cast) -> None:
    with pytest.raises(Conflict, match="Light › Glow / Chalky glow") as caught:
        rename(db, people.project, "clear-edges", based_on=1, by=people.ada, positive="CHALKY glow")
    assert caught.value.field == "positive_name"
    with pytest.raises(Conflict, match="taken: Light"):
        rename(db, people.project, "edges", based_on=1, by=people.ada, name="LIGHT")
    with pytest.raises(Conflict, match="different names"):
        rename(
            db, people.project, "clear-edges", based_on=1, by=people.ada, positive="blurred EDGES"
        )
    # Its own name in other capitals is nobody else's.
    rename(db, people.project, "edges", based_on=1, by=people.ada, name="EDGES")


def test_a_retired_name_is_free(db: Session, people: Cast) -> None:
    retire(db, people.project, "source", based_on=1, by=people.ada)
    db.commit()
    rename(
        db, people.project, "clear-edges", based_on=1, by=people.ada, positive="One clear source"
    )


def test_a_stale_edit_is_refused_with_the_other_change(db: Session, people: Cast) -> None:
    rename(db, people.project, "edges", based_on=1, by=people.lea, name="Contours")
    with pytest.raises(Stale, match="Lea changed “Contours”") as caught:
        rename(db, people.project, "edges", based_on=1, by=people.ada, name="Outlines")
    details = caught.value.details
    assert details["theirs"] == {"name": "Contours"}
    assert details["yours"] == {"name": "Outlines"}
    assert (details["by"], details["revision"]) == ("Lea", 2)
    assert node(db, people, "edges").name == "Contours"


def test_texts_change_together_or_not_at_all(db: Session, people: Cast) -> None:
    with pytest.raises(Invalid):
        revise(
            db,
            people.project,
            "edges",
            based_on=1,
            by=people.ada,
            texts={"name": "Contours", "definition": "x" * 4001},
        )
    db.commit()
    assert node(db, people, "edges").name == "Edges"
    texts = {"name": "Contours", "definition": " Two\r\nlines. "}
    revise(db, people.project, "edges", based_on=1, by=people.ada, texts=texts)
    db.commit()
    changed = node(db, people, "edges")
    assert (changed.name, changed.definition) == ("Contours", "Two\nlines.")
    assert [change.kind for change in find_changes(db, people.project)][:2] == [
        "described",
        "renamed",
    ]


def test_new_nodes_get_a_key_of_their_own_at_the_end(db: Session, people: Cast) -> None:
    added = add_dimension(db, people.project, parent="light", name="Edges of light", by=people.ada)
    again = add_pair(
        db,
        people.project,
        parent=added.key,
        relation="opposed",
        positive=Attribute("Clear-Edges!", "How one sees it."),
        negative=Attribute("Murk"),
        by=people.ada,
    )
    root = add_dimension(db, people.project, parent=None, name="Colour", by=people.ada)
    assert (added.key, again.key, root.key) == ("edges-of-light", "clear-edges-2", "colour")
    tree = working_criteria(db, people.project)
    assert [each.key for each in tree.dimensions] == ["light", "edges", "colour"]
    assert tree.path_of("clear-edges-2") == ("light", "edges-of-light", "clear-edges-2")
    assert find_changes(db, people.project)[0].after is not None


def test_the_depth_limit_holds(db: Session, people: Cast) -> None:
    # Four levels: light > source > a third dimension > its pairs.
    third = add_dimension(db, people.project, parent="source", name="Third", by=people.ada)
    add_pair(
        db,
        people.project,
        parent=third.key,
        relation="flaw",
        positive=Attribute("Fits"),
        negative=Attribute("Just fits"),
        by=people.ada,
    )
    with pytest.raises(Invalid, match="at most 4 levels"):
        add_dimension(db, people.project, parent=third.key, name="Fourth", by=people.ada)


def test_nothing_is_added_where_nothing_can_be(db: Session, people: Cast) -> None:
    with pytest.raises(NotFound):
        add_dimension(db, people.project, parent="nowhere", name="New", by=people.ada)
    with pytest.raises(Invalid, match="is an attribute pair"):
        add_dimension(db, people.project, parent="glow", name="New", by=people.ada)
    retire(db, people.project, "light", based_on=1, by=people.ada)
    db.commit()
    with pytest.raises(Conflict, match="retired"):
        add_dimension(db, people.project, parent="source", name="New", by=people.ada)


def test_of_two_who_rename_at_the_same_moment_one_is_told(people: Cast) -> None:
    both = threading.Barrier(2)
    outcomes: dict[str, object] = {}

    def work(name: str, person: Person) -> None:
        try:
            with database.unit_of_work() as db:
                both.wait(timeout=10)
                rename(db, people.project, "edges", based_on=1, by=person, name=name)
            outcomes[name] = "saved"
        except AppError as error:
            outcomes[name] = error

    threads = [
        threading.Thread(target=work, args=("Contours", people.ada)),
        threading.Thread(target=work, args=("Outlines", people.lea)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    (winner,) = [name for name, outcome in outcomes.items() if outcome == "saved"]
    (refused,) = [outcome for outcome in outcomes.values() if outcome != "saved"]
    assert isinstance(refused, Stale)
    assert refused.details["theirs"] == {"name": winner}
    with database.unit_of_work() as db:
        assert get_node(db, people.project, "edges").name == winner
        assert len(find_changes(db, people.project)) == 2


# Pages ---------------------------------------------------------------------------------------


def test_a_rename_without_javascript(browser: TestClient, sign_in: SignIn, people: Cast) -> None:
    sign_in(browser, people.ada)
    form = browser.get(f"{HERE}/nodes/clear-edges/rename")
    assert form.status_code == 200
    assert 'value="Clear edges"' in form.text
    answer = browser.post(f"{HERE}/nodes/clear-edges/rename", data={"based_on": 1, **PAIR})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{HERE}?node=clear-edges"
    assert "Soft edges" in browser.get(answer.headers["location"]).text


def test_a_rename_in_place(htmx: TestClient, sign_in: SignIn, people: Cast, db: Session) -> None:
    sign_in(htmx, people.ada)
    row = f'id="row-{node(db, people, "clear-edges").id}"'
    form = htmx.get(f"{HERE}/nodes/clear-edges/rename").text
    assert row in form
    assert "<html" not in form
    answer = htmx.post(f"{HERE}/nodes/clear-edges/rename", data={"based_on": 1, **PAIR})
    assert answer.status_code == 200
    assert row in answer.text
    panel = next(line for line in answer.text.splitlines() if 'id="panel"' in line)
    assert 'data-key="clear-edges"' in panel and 'hx-swap-oob="true"' in panel
    assert "Sharp edges" in htmx.get(f"{HERE}/nodes/clear-edges/row").text


def test_names_and_definitions_are_edited_in_the_panel(
    browser: TestClient, htmx: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    sign_in(browser, people.ada)
    assert "How light falls." in browser.get(f"{HERE}/nodes/light/edit").text
    data = {"based_on": 1, "name": "Light", "definition": "Where it is bright."}
    answer = browser.post(f"{HERE}/nodes/light/edit", data=data)
    assert answer.headers["location"] == f"{HERE}?node=light"
    assert node(db, people, "light").definition == "Where it is bright."
    sign_in(htmx, people.ada)
    answer = htmx.post(f"{HERE}/nodes/light/edit", data={**data, "based_on": 2, "name": "Lights"})
    assert answer.text.lstrip().startswith('<section class="panel"')
    assert "hx-swap-oob" in answer.text
    assert node(db, people, "light").name == "Lights"


def test_wrong_input_is_shown_beside_its_field(
    browser: TestClient, htmx: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    wrong = {"based_on": 1, "positive_name": "a, b", "negative_name": "Soft edges"}
    for client in (browser, htmx):
        sign_in(client, people.ada)
        answer = client.post(f"{HERE}/nodes/clear-edges/rename", data=wrong)
        assert answer.status_code == 422
        assert "cannot hold a comma" in answer.text
        assert 'value="a, b"' in answer.text
        missing = client.post(f"{HERE}/nodes/clear-edges/rename", data={"positive_name": "x"})
        assert missing.status_code == 422
    assert node(db, people, "clear-edges").revision == 1


def test_a_stale_form_shows_both_values_and_can_be_saved_again(
    browser: TestClient, htmx: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    theirs = {"positive": "Their edges"}
    rename(db, people.project, "clear-edges", based_on=1, by=people.lea, **theirs)
    describe(db, people.project, "clear-edges", based_on=2, by=people.lea, negative="Theirs too.")
    db.commit()
    mine = {
        "based_on": 1,
        "positive_name": "My edges",
        "positive_definition": "Forms end sharply.",
        "negative_name": "Blurred edges",
        "negative_definition": "Forms have no end.",
    }
    for client in (browser, htmx):
        sign_in(client, people.ada)
        answer = client.post(f"{HERE}/nodes/clear-edges/edit", data=mine)
        assert answer.status_code == 412
        assert "Lea changed" in answer.text
        assert "My edges" in answer.text
        assert "Stored now: “Their edges”" in answer.text
        # What Ada did not touch follows Lea, so that saving again does not take it back.
        assert ">Theirs too.</textarea>" in answer.text
        assert 'name="based_on" value="3"' in answer.text
    again = {**mine, "based_on": 3, "negative_definition": "Theirs too."}
    assert browser.post(f"{HERE}/nodes/clear-edges/edit", data=again).status_code == 303
    changed = node(db, people, "clear-edges")
    assert (changed.positive_name, changed.negative_definition) == ("My edges", "Theirs too.")


def test_adding_by_form(
    browser: TestClient, htmx: TestClient, sign_in: SignIn, people: Cast, db: Session
) -> None:
    sign_in(browser, people.ada)
    assert "Add below “Edges”" in browser.get(f"{HERE}/add?parent=edges").text
    assert "Add a root dimension" in browser.get(f"{HERE}/add").text
    pair = {"parent": "edges", "relation": "flaw", "positive_name": "Crisp", "negative_name": "Cut"}
    answer = browser.post(f"{HERE}/pairs", data=pair)
    assert answer.headers["location"] == f"{HERE}?node=crisp"
    sign_in(htmx, people.ada)
    answer = htmx.post(f"{HERE}/dimensions", data={"parent": "edges", "name": "Contours"})
    assert answer.status_code == 204
    assert answer.headers["HX-Redirect"] == f"{HERE}?node=contours"
    assert {"crisp", "contours"} <= set(nodes_by_key(db, people.project))
    taken = htmx.post(f"{HERE}/pairs", data={**pair, "positive_name": "GLOW"})
    assert taken.status_code == 422
    assert "is taken: Light › Glow" in taken.text
    empty = browser.post(f"{HERE}/dimensions", data={"parent": "edges", "name": ""})
    assert empty.status_code == 422
    assert "Please fill this in." in empty.text


# API -----------------------------------------------------------------------------------------


def test_a_program_edits(api: TestClient, token_for: Tokens, people: Cast) -> None:
    headers = token_for(people.ada)
    body = {"based_on": 1, "positive": {"name": "Sharp edges"}, "negative": {"definition": "New."}}
    answer = api.patch(f"{API}/nodes/clear-edges", json=body, headers=headers)
    assert answer.status_code == 200
    found = answer.json()
    assert found["positive"] == {"name": "Sharp edges", "definition": "Forms end sharply."}
    assert found["negative"] == {"name": "Blurred edges", "definition": "New."}
    assert (found["revision"], found["parent"]) == (3, "edges")
    assert api.get(f"{API}/nodes/clear-edges", headers=headers).json() == found
    stale = api.patch(f"{API}/nodes/clear-edges", json=body, headers=headers)
    assert stale.status_code == 412
    problem = stale.json()
    assert problem["theirs"] == {"positive_name": "Sharp edges"}
    assert problem["yours"] == {"positive_name": "Sharp edges"}
    assert (problem["revision"], problem["by"]) == (3, "Ada")


@pytest.mark.parametrize(
    "body",
    [
        {"name": "No revision"},
        {"based_on": 1},
        {"based_on": 1, "name": "a", "colour": "b"},
        {"based_on": 1, "positive": {"name": "for a pair"}},
        {"based_on": 1, "name": ""},
        {"based_on": 1, "name": "Light"},
    ],
)
def test_a_program_is_told_what_is_wrong(
    api: TestClient, token_for: Tokens, people: Cast, body: dict[str, Any]
) -> None:
    answer = api.patch(f"{API}/nodes/edges", json=body, headers=token_for(people.ada))
    assert answer.status_code == (409 if body.get("name") == "Light" else 422)
    assert answer.json()["detail"]


def test_a_program_adds(api: TestClient, token_for: Tokens, people: Cast) -> None:
    headers = token_for(people.ada)
    body: dict[str, Any] = {"kind": "dimension", "parent": "edges", "name": "Contours"}
    answer = api.post(f"{API}/nodes", json=body, headers=headers)
    assert answer.status_code == 201
    assert (answer.json()["key"], answer.json()["exclusive"]) == ("contours", False)
    body = {
        "kind": "pair",
        "parent": "contours",
        "relation": "opposed",
        "positive": {"name": "Firm contours"},
        "negative": {"name": "Shaky contours", "definition": "They tremble."},
    }
    answer = api.post(f"{API}/nodes", json=body, headers=headers)
    assert answer.json()["negative"]["definition"] == "They tremble."
    assert api.post(f"{API}/nodes", json=body, headers=headers).status_code == 409
    del body["parent"]
    assert api.post(f"{API}/nodes", json=body, headers=headers).status_code == 422


def test_the_changes_are_listed_a_page_at_a_time(
    api: TestClient,
    browser: TestClient,
    sign_in: SignIn,
    token_for: Tokens,
    people: Cast,
    db: Session,
) -> None:
    for number in range(1, 4):
        rename(db, people.project, "edges", based_on=number, by=people.ada, name=f"Edges {number}")
    db.commit()
    headers = token_for(people.ben)
    first = api.get(f"{API}/changes?limit=2", headers=headers).json()
    assert [item["revision"] for item in first["items"]] == [4, 3]
    rest = api.get(f"{API}/changes?limit=2&before={first['next']}", headers=headers).json()
    assert [item["revision"] for item in rest["items"]] == [2, 1]
    assert rest["next"] is None
    one = api.get(f"{API}/changes?key=light", headers=headers).json()
    assert one["items"] == []
    sign_in(browser, people.ben)
    page = browser.get(f"{HERE}/history").text
    assert "Renamed the dimension “Edges 2”." in page
    assert "Undo" not in page.split("<tbody>")[1].split("</tbody>")[0]


# Rights --------------------------------------------------------------------------------------

WRITES = [
    ("nodes/edges/rename", {"based_on": 1, "name": "X"}),
    ("nodes/edges/edit", {"based_on": 1, "name": "X", "definition": "Y"}),
    ("dimensions", {"parent": "edges", "name": "X"}),
    ("pairs", {"parent": "edges", "relation": "flaw", "positive_name": "X", "negative_name": "Y"}),
]


@pytest.mark.parametrize(("address", "data"), WRITES)
def test_who_may_not_edit(
    browser: TestClient, sign_in: SignIn, people: Cast, db: Session, address: str, data: Any
) -> None:
    assert browser.post(f"{HERE}/{address}", data=data).status_code == 303  # to the sign-in page
    for person, status in ((people.ben, 403), (people.dora, 404)):
        sign_in(browser, person)
        assert browser.post(f"{HERE}/{address}", data=data).status_code == status
    assert len(find_changes(db, people.project)) == 1


def test_who_may_not_edit_by_program(api: TestClient, token_for: Tokens, people: Cast) -> None:
    patch = {"based_on": 1, "name": "X"}
    new = {"kind": "dimension", "name": "X"}
    for person, status in ((people.ben, 403), (people.dora, 404)):
        headers = token_for(person)
        assert api.patch(f"{API}/nodes/edges", json=patch, headers=headers).status_code == status
        assert api.post(f"{API}/nodes", json=new, headers=headers).status_code == status
    assert api.patch(f"{API}/nodes/edges", json=patch).status_code == 401
    assert api.get(f"{API}/changes", headers=token_for(people.dora)).status_code == 404


def test_forms_are_not_offered_to_those_who_may_not_edit(
    browser: TestClient, sign_in: SignIn, people: Cast
) -> None:
    sign_in(browser, people.ben)
    page = browser.get(f"{HERE}?node=edges").text
    assert "Edit texts" not in page
    assert "data-editable" not in page
    for address in ("nodes/edges/rename", "nodes/edges/edit", "add"):
        assert browser.get(f"{HERE}/{address}").status_code == 403
    sign_in(browser, people.dora)
    for address in ("", "/history", "/export", "/nodes/edges/row"):
        assert browser.get(f"{HERE}{address}").status_code == 404

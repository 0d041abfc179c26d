"""Undoing changes of the criteria."""

from collections.abc import Callable

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.editing import add_dimension, add_pair, rename
from app.criteria.freezing import freeze_version
from app.criteria.history import find_changes
from app.criteria.models import Node
from app.criteria.reading import get_node, nodes_by_key, working_criteria
from app.errors import Conflict, NotFound, Stale
from app.labels.models import Label
from app.versions.undoing import undo
from taxonomy.tree import Attribute
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
HERE = "/projects/paintings/criteria"
API = "/api/v1/projects/paintings/criteria"


def add(db: Session, people: Cast, name: str = "Crisp") -> Node:
    return add_pair(
        db,
        people.project,
        parent="edges",
        relation="flaw",
        positive=Attribute(name),
        negative=Attribute(f"Not {name}"),
        by=people.ada,
    )


def test_a_rename_and_its_undoing_can_both_be_undone(db: Session, people: Cast) -> None:
    rename(db, people.project, "edges", based_on=1, by=people.ada, name="Contours")
    undo(db, people.project, 2, by=people.lea)
    assert working_criteria(db, people.project) == SMALL
    undo(db, people.project, 3, by=people.ada)
    assert get_node(db, people.project, "edges").name == "Contours"
    with pytest.raises(Conflict, match="undone already, by change 3"):
        undo(db, people.project, 2, by=people.ada)
    changes = find_changes(db, people.project)
    assert [change.undoes for change in changes] == [3, 2, None, None]
    assert [change.can_undo for change in changes] == [True, False, False, False]


def test_what_was_changed_again_is_not_undone(db: Session, people: Cast) -> None:
    rename(db, people.project, "edges", based_on=1, by=people.ada, name="Contours")
    rename(db, people.project, "edges", based_on=2, by=people.lea, name="Outlines")
    with pytest.raises(Stale, match="Lea changed “Outlines”"):
        undo(db, people.project, 2, by=people.ada)
    assert get_node(db, people.project, "edges").name == "Outlines"


def test_a_name_that_was_taken_meanwhile_does_not_come_back(db: Session, people: Cast) -> None:
    rename(db, people.project, "edges", based_on=1, by=people.ada, name="Contours")
    add_dimension(db, people.project, parent=None, name="Edges", by=people.lea)
    with pytest.raises(Conflict, match="“Edges” is taken"):
        undo(db, people.project, 2, by=people.ada)


def test_what_was_added_goes_and_comes_back_with_its_id_and_key(db: Session, people: Cast) -> None:
    crisp = add(db, people)
    undo(db, people.project, 2, by=people.ada)
    assert working_criteria(db, people.project) == SMALL
    with pytest.raises(NotFound):
        get_node(db, people.project, "crisp")
    # The key stays taken, so that no label or file can ever mean another thing by it.
    assert add(db, people).key == "crisp-2"
    with pytest.raises(Conflict, match="“Crisp” is taken"):
        undo(db, people.project, 3, by=people.ada)
    db.commit()
    assert nodes_by_key(db, people.project)["crisp"].removed
    undo(db, people.project, 4, by=people.ada)
    undo(db, people.project, 3, by=people.ada)
    assert get_node(db, people.project, "crisp").id == crisp.id


def test_what_was_published_or_labelled_or_filled_stays(
    db: Session, make: Make, people: Cast
) -> None:
    version = freeze_version(db, people.project, by=people.ada)
    parent = add_dimension(db, people.project, parent="light", name="Parent", by=people.ada)
    add_pair(
        db,
        people.project,
        parent=parent.key,
        relation="flaw",
        positive=Attribute("Child"),
        negative=Attribute("Wild child"),
        by=people.ada,
    )
    with pytest.raises(Conflict, match="nodes below it"):
        undo(db, people.project, 2, by=people.ada)
    child = get_node(db, people.project, "child")
    db.add(
        Label(
            project_id=people.project.id,
            image_id=make.image(people.project).id,
            node_id=child.id,
            polarity="positive",
            state="rejected",
            source="person",
            version_id=version.id,
            revision=1,
        )
    )
    db.flush()
    with pytest.raises(Conflict, match="on labels already"):
        undo(db, people.project, 3, by=people.ada)
    freeze_version(db, people.project, by=people.ada)
    with pytest.raises(Conflict, match="published in version 2"):
        undo(db, people.project, 3, by=people.ada)


def test_loading_is_not_undone(db: Session, people: Cast) -> None:
    with pytest.raises(Conflict, match="cannot be undone"):
        undo(db, people.project, 1, by=people.ada)
    with pytest.raises(NotFound):
        undo(db, people.project, 99, by=people.ada)


def test_undoing_by_page_and_htmx_and_program(
    browser: TestClient,
    htmx: TestClient,
    api: TestClient,
    sign_in: SignIn,
    token_for: Callable[[Person], dict[str, str]],
    people: Cast,
    db: Session,
) -> None:
    rename(db, people.project, "edges", based_on=1, by=people.ada, name="Contours")
    add(db, people)
    db.commit()
    sign_in(browser, people.ada)
    assert f'action="{HERE}/changes/2/undo"' in browser.get(f"{HERE}?node=edges").text
    answer = browser.post(f"{HERE}/changes/2/undo")
    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?node=edges")
    refused = browser.post(f"{HERE}/changes/2/undo")
    assert refused.status_code == 409
    assert "undone already" in refused.text
    sign_in(htmx, people.ada)
    answer = htmx.post(f"{HERE}/changes/3/undo")
    assert answer.headers["HX-Redirect"] == HERE  # what was added is gone
    made = api.post(f"{API}/changes/5/undo", headers=token_for(people.ada))
    assert made.status_code == 200
    assert (made.json()["undoes"], made.json()["key"]) == (5, "crisp")
    again = api.post(f"{API}/changes/5/undo", headers=token_for(people.ada))
    assert again.status_code == 409


def test_who_may_not_undo(
    browser: TestClient,
    api: TestClient,
    sign_in: SignIn,
    token_for: Callable[[Person], dict[str, str]],
    people: Cast,
    db: Session,
) -> None:
    rename(db, people.project, "edges", based_on=1, by=people.ada, name="Contours")
    db.commit()
    for person, status in ((people.ben, 403), (people.dora, 404)):
        sign_in(browser, person)
        assert browser.post(f"{HERE}/changes/2/undo").status_code == status
        headers = token_for(person)
        assert api.post(f"{API}/changes/2/undo", headers=headers).status_code == status
    assert len(find_changes(db, people.project)) == 2

"""Names that go to another attribute while labels stand: asked about, kept or followed."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.models import Node
from app.criteria.reading import get_node
from app.errors import Conflict
from app.images.models import Image
from app.labels.models import Label, LabelEvent
from app.labels.saving import save
from app.versions.editing import add_pair, revise
from app.versions.publishing import preview, publish
from app.versions.undoing import undo
from taxonomy.tree import Attribute
from tests.factories import Make
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = "/api/v1/projects/paintings/criteria"
SWAPPED = {"positive_name": "Blurred edges", "negative_name": "Clear edges"}


def act(db: Session, people: Cast, image: Image, key: str, polarity: str, *states: Any) -> None:
    for state in states or ("confirmed",):
        db.refresh(image)
        save(
            db,
            people.project,
            image.id,
            key=key,
            polarity=polarity,
            state=state,
            based_on=image.label_revision,
            operation_id=uuid4(),
            by=people.ben,
        )
    db.commit()


@pytest.fixture
def image(db: Session, make: Make, people: Cast) -> Image:
    """An image with “Clear edges” confirmed under version 1."""
    publish(db, people.project, by=people.ada)
    image = make.image(people.project)
    act(db, people, image, "clear-edges", "positive")
    return image


def edit(db: Session, people: Cast, key: str, texts: dict[str, str], **more: Any) -> Node:
    node = get_node(db, people.project, key)
    made = revise(
        db, people.project, key, based_on=node.revision, by=people.ada, texts=texts, **more
    )
    db.commit()
    return made


def stands(db: Session, image: Image) -> set[tuple[str, str, str]]:
    rows = db.execute(
        select(Node.key, Label.polarity, Label.state)
        .join(Node, Node.id == Label.node_id)
        .where(Label.image_id == image.id)
    )
    return {(key, polarity, state) for key, polarity, state in rows}


def test_exchanged_sides_are_asked_about_and_nothing_is_saved(
    db: Session, people: Cast, image: Image
) -> None:
    with pytest.raises(Conflict, match="“Clear edges” was the name of clear-edges") as asked:
        edit(db, people, "clear-edges", SWAPPED)
    assert set(asked.value.details["choices"]) == {"keep", "follow"}  # type: ignore[call-overload]
    assert get_node(db, people.project, "clear-edges").positive_name == "Clear edges"


def test_labels_follow_their_names_at_the_publication(
    db: Session, people: Cast, image: Image
) -> None:
    act(db, people, image, "clear-edges", "negative", "confirmed", "rejected")
    edit(db, people, "clear-edges", SWAPPED, names_moved="follow")
    before = stands(db, image)
    assert before == {
        ("clear-edges", "positive", "confirmed"),
        ("clear-edges", "negative", "rejected"),
    }
    version = publish(db, people.project, by=people.ada)
    db.commit()
    assert stands(db, image) == {
        ("clear-edges", "negative", "confirmed"),
        ("clear-edges", "positive", "rejected"),
    }
    events = db.scalars(select(LabelEvent).where(LabelEvent.kind == "follow")).all()
    assert {(e.polarity, e.before, e.after, e.person_id, e.version_id) for e in events} == {
        ("positive", "confirmed", "rejected", people.ada.id, version.id),
        ("negative", "rejected", "confirmed", people.ada.id, version.id),
    }
    label = db.scalars(select(Label).where(Label.polarity == "negative")).one()
    assert (label.decided_by, label.version_id) == (people.ben.id, version.id)
    assert preview(db, people.project).moved == []


def test_labels_that_are_kept_are_not_asked_about_again(
    db: Session, people: Cast, image: Image
) -> None:
    edit(db, people, "clear-edges", SWAPPED, names_moved="keep")
    publish(db, people.project, by=people.ada)
    assert stands(db, image) == {("clear-edges", "positive", "confirmed")}
    edit(db, people, "clear-edges", {"positive_definition": "Soft."})
    publish(db, people.project, by=people.ada)
    assert preview(db, people.project).moved == []


def test_a_name_that_goes_to_another_pair_by_way_of_a_third_one(
    db: Session, people: Cast, image: Image
) -> None:
    edit(db, people, "clear-edges", {"positive_name": "For a while"})
    with pytest.raises(Conflict, match="now that of glow"):
        edit(db, people, "glow", {"positive_name": "CLEAR  edges"})
    edit(db, people, "glow", {"positive_name": "Clear edges"}, names_moved="follow")
    edit(db, people, "clear-edges", {"positive_name": "Glow"})
    publish(db, people.project, by=people.ada)
    assert stands(db, image) == {("glow", "positive", "confirmed")}


def test_a_name_that_goes_over_several_publications(
    db: Session, people: Cast, image: Image, make: Make
) -> None:
    edit(db, people, "clear-edges", {"positive_name": "For a while"})
    publish(db, people.project, by=people.ada)
    later = make.image(people.project)
    act(db, people, later, "clear-edges", "positive")
    with pytest.raises(Conflict, match="1 label made for it would say “For a while”"):
        edit(db, people, "glow", {"positive_name": "Clear edges"})
    edit(db, people, "glow", {"positive_name": "Clear edges"}, names_moved="follow")
    publish(db, people.project, by=people.ada)
    assert stands(db, image) == {("glow", "positive", "confirmed")}
    assert stands(db, later) == {("clear-edges", "positive", "confirmed")}


def test_a_new_pair_that_takes_the_name(db: Session, people: Cast, image: Image) -> None:
    edit(db, people, "clear-edges", {"positive_name": "Knife edges"})
    sides: Any = {"positive": Attribute("Clear edges"), "negative": Attribute("No edges")}
    place: Any = {"parent": "light", "relation": "opposed", "by": people.ada}
    with pytest.raises(Conflict, match="was the name of clear-edges"):
        add_pair(db, people.project, **place, **sides)
    assert add_pair(db, people.project, **place, **sides, names_moved="keep").key == "clear-edges-2"


def test_definitions_that_are_exchanged_are_asked_about(
    db: Session, people: Cast, image: Image
) -> None:
    exchanged = {
        "positive_definition": "Forms have no end.",
        "negative_definition": "Forms end sharply.",
    }
    with pytest.raises(Conflict, match="was the definition of clear-edges"):
        edit(db, people, "clear-edges", exchanged)


def test_undoing_an_exchange_asks_too(db: Session, people: Cast, image: Image) -> None:
    edit(db, people, "clear-edges", SWAPPED, names_moved="follow")
    publish(db, people.project, by=people.ada)
    with pytest.raises(Conflict, match="was the name of"):
        undo(db, people.project, 2, by=people.ada)
    undo(db, people.project, 2, by=people.ada, names_moved="follow")
    publish(db, people.project, by=people.ada)
    assert stands(db, image) == {("clear-edges", "positive", "confirmed")}


def test_an_exchange_taken_back_before_it_was_published_is_forgotten(
    db: Session, people: Cast, image: Image
) -> None:
    edit(db, people, "clear-edges", SWAPPED, names_moved="follow")
    undo(db, people.project, 2, by=people.ada)
    edit(db, people, "glow", {"positive_name": "Shine"})
    publish(db, people.project, by=people.ada)
    assert stands(db, image) == {("clear-edges", "positive", "confirmed")}


def test_labels_do_not_follow_into_others_that_would_lose_their_name(
    db: Session, people: Cast, image: Image
) -> None:
    act(db, people, image, "glow", "positive")
    edit(db, people, "clear-edges", {"positive_name": "Knife edges"})
    edit(db, people, "glow", {"positive_name": "Clear edges"}, names_moved="follow")
    with pytest.raises(Conflict, match="a name that no attribute has any more"):
        publish(db, people.project, by=people.ada)
    assert len(preview(db, people.project).moved) == 1


def test_without_labels_nobody_is_asked(db: Session, people: Cast, make: Make) -> None:
    publish(db, people.project, by=people.ada)
    edit(db, people, "clear-edges", SWAPPED)
    # Someone labels under the version that stands, before the next one is published.
    image = make.image(people.project)
    act(db, people, image, "clear-edges", "positive")
    with pytest.raises(Conflict, match="“Clear edges” was the name"):
        publish(db, people.project, by=people.ada)
    publish(db, people.project, by=people.ada, names_moved="follow")
    assert stands(db, image) == {("clear-edges", "negative", "confirmed")}


def test_a_spelling_is_no_other_name(db: Session, people: Cast, image: Image) -> None:
    edit(db, people, "clear-edges", {"positive_name": "CLEAR edges"})
    edit(db, people, "clear-edges", {"positive_name": "Clear contours"})
    publish(db, people.project, by=people.ada)
    assert stands(db, image) == {("clear-edges", "positive", "confirmed")}


def test_by_page_and_by_program(
    browser: TestClient,
    api: TestClient,
    sign_in: SignIn,
    token_for: Tokens,
    people: Cast,
    db: Session,
    image: Image,
) -> None:
    sign_in(browser, people.ada)
    typed = {"based_on": 1, **SWAPPED}
    for way in ("edit", "rename"):
        asked = browser.post(f"{HERE}/nodes/clear-edges/{way}", data=typed)
        assert asked.status_code == 422
        assert 'name="names_moved" value="follow"' in asked.text
    headers = token_for(people.ada)
    body = {"based_on": 1, "positive": {"name": "Blurred edges"}}
    body["negative"] = {"name": "Clear edges"}
    refused = api.patch(f"{API}/nodes/clear-edges", json=body, headers=headers)
    assert refused.status_code == 409
    (moved,) = refused.json()["moved"]
    assert moved["from"] == {"key": "clear-edges", "polarity": "positive"}
    assert (moved["to"]["polarity"], moved["labels"], moved["choice"]) == ("negative", 1, None)
    saved = browser.post(f"{HERE}/nodes/clear-edges/edit", data=typed | {"names_moved": "follow"})
    assert saved.status_code == 303
    page = browser.get(f"{HERE}/publish").text
    assert "“Clear edges” was the name of clear-edges" in page
    assert 'value="follow" required checked' in page
    shown = api.get(f"{API}/preview", headers=headers).json()
    assert shown["moved"][0]["choice"] == "follow"
    assert "text-moved" in [each["kind"] for each in shown["touched"]]
    made = api.post(f"{API}/versions", json={"names_moved": "keep"}, headers=headers)
    assert made.status_code == 201
    assert stands(db, image) == {("clear-edges", "positive", "confirmed")}
    undone = browser.post(f"{HERE}/changes/2/undo")
    assert undone.status_code == 409
    assert "Undo; the labels follow the name" in undone.text
    undone = browser.post(f"{HERE}/changes/2/undo", data={"names_moved": "keep"})
    assert undone.status_code == 303

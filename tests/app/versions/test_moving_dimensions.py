"""Names that go to another dimension while labels stand below it: noticed, and asked about."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.models import CriteriaVersion
from app.errors import Conflict
from app.images.models import Image
from app.versions.publishing import preview, publish
from tests.app.versions.test_moving import act, edit, stands
from tests.factories import Make
from tests.people import Cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"


@pytest.fixture
def image(db: Session, make: Make, people: Cast) -> Image:
    """An image with “Clear edges” (below Edges) confirmed under version 1."""
    publish(db, people.project, by=people.ada)
    image = make.image(people.project)
    act(db, people, image, "clear-edges", "positive")
    return image


def exchange(db: Session, people: Cast) -> None:
    """Light is called Edges, and Edges Light."""
    for key, name in (("edges", "For a while"), ("light", "Edges"), ("edges", "Light")):
        edit(db, people, key, {"name": name})


def versions(db: Session) -> int:
    return db.scalar(select(func.count()).select_from(CriteriaVersion)) or 0


def test_exchanged_dimensions_are_asked_about_and_nothing_is_published(
    db: Session, people: Cast, image: Image
) -> None:
    exchange(db, people)
    said = r"“Edges” was the name of the dimension edges and is now that of light. 1 label stands"
    with pytest.raises(Conflict, match=said) as asked:
        publish(db, people.project, by=people.ada)
    assert set(asked.value.details["choices"]) == {"keep"}  # type: ignore[call-overload]
    assert versions(db) == 1
    # Nothing stands below Light, so its name concerns nobody.
    assert [each.source for each in preview(db, people.project).dimensions_moved] == ["edges"]


def test_they_cannot_follow(db: Session, people: Cast, image: Image) -> None:
    exchange(db, people)
    with pytest.raises(Conflict, match="the dimension edges"):
        publish(db, people.project, by=people.ada, names_moved="follow")
    assert versions(db) == 1


def test_what_is_kept_is_not_asked_about_again(db: Session, people: Cast, image: Image) -> None:
    exchange(db, people)
    publish(db, people.project, by=people.ada, names_moved="keep")
    assert stands(db, image) == {("clear-edges", "positive", "confirmed")}
    edit(db, people, "glow", {"positive_name": "Shine"})
    publish(db, people.project, by=people.ada)
    assert preview(db, people.project).dimensions_moved == []


def test_a_new_name_and_a_name_without_labels_are_not_asked_about(
    db: Session, people: Cast, image: Image
) -> None:
    edit(db, people, "edges", {"name": "Contours"})
    edit(db, people, "source", {"name": "Where light comes from"})
    publish(db, people.project, by=people.ada)
    assert versions(db) == 2


def test_an_exchange_that_was_taken_back_is_none(db: Session, people: Cast, image: Image) -> None:
    exchange(db, people)
    for key, name in (("edges", "For a while"), ("light", "Light"), ("edges", "EDGES")):
        edit(db, people, key, {"name": name})
    publish(db, people.project, by=people.ada)
    assert versions(db) == 2


def test_by_page_and_by_program(
    browser: TestClient,
    api: TestClient,
    sign_in: SignIn,
    token_for: Tokens,
    people: Cast,
    db: Session,
    image: Image,
) -> None:
    exchange(db, people)
    sign_in(browser, people.ada)
    page = browser.get(f"{HERE}/publish").text
    assert "“Edges” was the name of the dimension edges" in page
    assert 'name="names_moved" value="keep"' in page and 'value="follow"' not in page
    headers = token_for(people.ada)
    shown = api.get(f"/api/v1{HERE}/preview", headers=headers).json()
    (moved,) = shown["dimensions_moved"]
    assert (moved["from"], moved["to"], moved["labels"]) == ("edges", "light", 1)
    assert "name-moved" in [each["kind"] for each in shown["touched"]]
    refused = api.post(f"/api/v1{HERE}/versions", json={}, headers=headers)
    assert (refused.status_code, refused.json()["moved"][0]["part"]) == (409, "dimension")
    made = api.post(f"/api/v1{HERE}/versions", json={"names_moved": "keep"}, headers=headers)
    assert made.status_code == 201

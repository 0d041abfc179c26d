"""Images that show an attribute: chosen, described, ordered, and gone with their image."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.criteria.merging import merge
from app.criteria.reading import get_criteria, get_node, working_criteria
from app.erasing.erasing import erase
from app.errors import Conflict, Invalid, NotFound, Stale
from app.examples import choosing, reading
from app.examples.models import LONGEST, MOST, AttributeExample
from app.images.models import Image
from app.images.removing import set_aside, take_back
from app.versions.undoing import undo
from taxonomy.tree import Polarity
from tests.app.criteria.trees import SMALL
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
Tokens = Callable[[Person], dict[str, str]]
HERE = "/projects/paintings/criteria"
API = f"/api/v1{HERE}"


@pytest.fixture
def people(make: Make, db: Session) -> Cast:
    found = cast(make)
    load_criteria(db, found.project, SMALL, by=found.lea)
    freeze_version(db, found.project, note="", by=found.lea)
    db.commit()
    return found


def choose(
    db: Session,
    people: Cast,
    image: Image,
    caption: str = "",
    key: str = "glow",
    polarity: Polarity = "positive",
) -> AttributeExample:
    made = choosing.choose_example(
        db,
        people.project,
        key,
        polarity=polarity,
        image_id=image.id,
        caption=caption,
        by=people.ada,
    )
    db.commit()
    return made


def shown(db: Session, people: Cast, key: str = "glow", polarity: str = "positive") -> list[int]:
    found = reading.find_examples(db, people.project, [key])
    return [each.image.id for each in found.get((key, polarity), [])]


def test_examples_stand_in_the_order_they_were_chosen_in(
    db: Session, people: Cast, make: Make
) -> None:
    images = [make.image(people.project) for _ in range(3)]
    made = [choose(db, people, each) for each in images]
    choose(db, people, images[0], polarity="negative")
    assert shown(db, people) == [each.id for each in images]
    assert shown(db, people, polarity="negative") == [images[0].id]
    choosing.move_example(db, people.project, made[2].id, position=1)
    db.commit()
    assert shown(db, people) == [images[2].id, images[0].id, images[1].id]
    choosing.drop_example(db, people.project, made[0].id)
    db.commit()
    assert shown(db, people) == [images[2].id, images[1].id]
    with pytest.raises(Invalid):
        choosing.move_example(db, people.project, made[2].id, position=3)


def test_a_side_has_six_at_most_and_each_once(db: Session, people: Cast, make: Make) -> None:
    images = [make.image(people.project) for _ in range(MOST + 1)]
    for each in images[:MOST]:
        choose(db, people, each)
    with pytest.raises(Conflict, match="6 examples"):
        choose(db, people, images[MOST])
    with pytest.raises(Conflict, match="already"):
        choose(db, people, images[0])


def test_what_was_set_aside_is_not_shown_and_makes_room(
    db: Session, people: Cast, make: Make
) -> None:
    images = [make.image(people.project) for _ in range(MOST + 1)]
    for each in images[:MOST]:
        choose(db, people, each)
    set_aside(db, people.project, images[0].id, reason="blurred", by=people.lea)
    db.commit()
    assert shown(db, people) == [each.id for each in images[1:MOST]]
    take_back(db, people.project, images[0].id, by=people.lea)
    db.commit()
    assert len(shown(db, people)) == MOST
    set_aside(db, people.project, images[0].id, reason="blurred", by=people.lea)
    choose(db, people, images[MOST])
    assert shown(db, people) == [each.id for each in images[1:]]
    with pytest.raises(Invalid):
        choose(db, people, images[0], polarity="negative")


def test_an_erased_image_is_no_example_any_more(db: Session, people: Cast, make: Make) -> None:
    images = [make.image(people.project) for _ in range(3)]
    made = [choose(db, people, each, "The sun at left") for each in images]
    erase(db, people.project, images[0].id, reason="asked for", by=people.lea)
    db.commit()
    assert db.scalar(select(func.count()).select_from(AttributeExample)) == 2
    choosing.move_example(db, people.project, made[2].id, position=1)
    db.commit()
    assert shown(db, people) == [images[2].id, images[1].id]


def test_only_images_of_the_project_and_only_pairs(db: Session, people: Cast, make: Make) -> None:
    other = make.image(make.project("another"))
    with pytest.raises(Invalid):
        choose(db, people, other)
    with pytest.raises(Invalid):
        choose(db, people, make.image(people.project), key="light")
    with pytest.raises(NotFound):
        choose(db, people, make.image(people.project), key="nowhere")


def test_a_caption_is_short_and_never_overwritten_unseen(
    db: Session, people: Cast, make: Make
) -> None:
    image = make.image(people.project)
    with pytest.raises(Invalid) as error:
        choose(db, people, image, "x" * (LONGEST + 1))
    assert error.value.field == "caption"
    made = choose(db, people, image, "The  sky")
    assert made.caption == "The sky"
    choosing.describe_example(db, people.project, made.id, caption="The sea", seen="The sky")
    with pytest.raises(Stale) as stale:
        choosing.describe_example(db, people.project, made.id, caption="Both", seen="The sky")
    assert (stale.value.details["theirs"], stale.value.details["yours"]) == ("The sea", "Both")


def test_examples_follow_a_merge_and_go_back_with_it(db: Session, people: Cast, make: Make) -> None:
    own, merged = make.image(people.project), make.image(people.project)
    choose(db, people, own, key="clear-edges")
    choose(db, people, merged)
    choose(db, people, own)
    seen = {key: get_node(db, people.project, key).revision for key in ("glow", "clear-edges")}
    merge(
        db,
        people.project,
        ["glow", "clear-edges"],
        into="clear-edges",
        based_on=seen,
        by=people.ada,
    )
    db.commit()
    found = reading.find_examples(db, people.project, ["clear-edges"])[("clear-edges", "positive")]
    assert [(each.image.id, each.came_from_title) for each in found] == [
        (own.id, ""),
        (merged.id, "Glow / Chalky glow"),
    ]
    undo(db, people.project, get_criteria(db, people.project).revision, by=people.ada)
    db.commit()
    assert shown(db, people, "clear-edges") == [own.id]
    assert shown(db, people) == [merged.id, own.id]


def test_examples_change_nothing_of_the_criteria(db: Session, people: Cast, make: Make) -> None:
    before = (get_criteria(db, people.project).revision, working_criteria(db, people.project))
    choose(db, people, make.image(people.project), "Here")
    after = (get_criteria(db, people.project).revision, working_criteria(db, people.project))
    assert after == before


def test_the_table_refuses_what_makes_no_sense(db: Session, people: Cast, make: Make) -> None:
    image = make.image(people.project)
    made = choose(db, people, image)
    own = {
        "project_id": people.project.id,
        "node_id": made.node_id,
        "image_id": image.id,
        "chosen_by": people.ada.id,
    }
    for wrong in (
        {"polarity": "positive", "position": 2},
        {"polarity": "negative", "position": MOST + 1},
        {"polarity": "neither", "position": 1},
        {"polarity": "negative", "position": 1, "caption": "x" * (LONGEST + 1)},
        {"polarity": "negative", "position": 1, "project_id": people.project.id + 1},
    ):
        db.add(AttributeExample(**(own | wrong)))
        with pytest.raises(IntegrityError):
            db.flush()
        db.rollback()


def test_examples_through_pages(
    db: Session, people: Cast, make: Make, browser: TestClient, sign_in: SignIn
) -> None:
    first, second = make.image(people.project), make.image(people.project)
    sign_in(browser, people.ada)
    page = f"{HERE}/nodes/glow/examples"
    assert f"image={second.id}" in browser.get(page).text
    wrong = browser.post(page, data={"polarity": "positive", "image": "a picture"})
    assert (wrong.status_code, "is no image" in wrong.text) == (422, True)
    address = f"http://127.0.0.1/projects/paintings/images/{first.id}"
    sent = browser.post(page, data={"polarity": "positive", "image": address, "caption": "Sun"})
    assert (sent.status_code, sent.headers["location"]) == (303, page)
    browser.post(page, data={"polarity": "positive", "image": str(second.id)})
    one, two = db.scalars(select(AttributeExample.id).order_by(AttributeExample.position))
    assert browser.post(f"{page}/{two}/place", data={"position": 1}).status_code == 303
    assert shown(db, people) == [second.id, first.id]
    seen = {"caption": "Moon", "seen": "Sun"}
    assert browser.post(f"{page}/{one}/caption", data=seen).status_code == 303
    stale = browser.post(f"{page}/{one}/caption", data=seen | {"caption": "Stars"})
    assert (stale.status_code, "changed meanwhile" in stale.text) == (422, True)
    # In the panel, and beside the definition where somebody labels.
    assert f"/images/{first.id}/thumb" in browser.get(f"{HERE}?node=glow").text
    assert browser.post(f"{page}/{two}/drop").status_code == 303
    assert shown(db, people) == [first.id]
    sign_in(browser, people.ben)
    text = browser.get(page).text
    assert "Moon" in text
    assert "Add an example" not in text
    assert browser.post(f"{page}/{one}/drop").status_code == 403


def test_an_image_becomes_an_example_from_its_page(
    db: Session, people: Cast, make: Make, browser: TestClient, sign_in: SignIn
) -> None:
    image = make.image(people.project)
    sign_in(browser, people.ada)
    page = f"/projects/paintings/images/{image.id}/example"
    assert page in browser.get(f"/projects/paintings/images/{image.id}/about").text
    assert "Glow" in browser.get(page).text
    wrong = browser.post(page, data={"attribute": "glow/sideways"})
    assert (wrong.status_code, "Choose an attribute." in wrong.text) == (422, True)
    sent = browser.post(page, data={"attribute": "glow/negative", "caption": "Chalk"})
    assert sent.headers["location"] == f"{HERE}/nodes/glow/examples"
    assert shown(db, people, polarity="negative") == [image.id]
    assert "Chalky glow" in browser.get(page).text


def test_examples_through_the_api(
    people: Cast, make: Make, api: TestClient, token_for: Tokens
) -> None:
    images = [make.image(people.project) for _ in range(2)]
    head = token_for(people.ada)
    page = f"{API}/nodes/glow/examples"
    sent = {"polarity": "positive", "caption": "Sun"}
    api.post(page, json=sent | {"image": images[0].id}, headers=head)
    made = api.post(page, json=sent | {"image": images[1].id}, headers=head)
    assert made.status_code == 201
    found = made.json()["positive"]
    assert [(each["image"], each["position"], each["node"]) for each in found] == [
        (images[0].id, 1, "glow"),
        (images[1].id, 2, "glow"),
    ]
    own = f"{API}/examples/{found[1]['id']}"
    moved = api.patch(own, json={"caption": "Moon", "seen": "Sun", "position": 1}, headers=head)
    assert moved.json()["positive"][0]["caption"] == "Moon"
    assert api.patch(own, json={"caption": "x", "seen": "Sun"}, headers=head).status_code == 412
    assert api.delete(own, headers=token_for(people.ben)).status_code == 403
    assert api.delete(own, headers=head).status_code == 204
    assert [each["image"] for each in api.get(page, headers=head).json()["positive"]] == [
        images[0].id
    ]
    assert api.get(page, headers=token_for(people.dora)).status_code == 404

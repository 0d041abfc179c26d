"""Images are corrected, set aside, taken back and replaced; each time it is recorded."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.errors import Conflict, Invalid, NotFound
from app.images import finding, image_files
from app.images.changes import find_image_changes
from app.images.correcting import correct_image
from app.images.models import Image, ImageEvent
from app.images.removing import replace_file, set_aside, take_back
from tests.app.images.test_image_pages import kept_image
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
Headers = Callable[[Person], dict[str, str]]
API = "/api/v1/projects/paintings/images"
PAGE = "/projects/paintings/images"


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def test_a_correction_is_kept_found_and_recorded(db: Session, make: Make, people: Cast) -> None:
    image = make.image(
        people.project, prompt="olive tress", details={"title": "Tress", "year": 1889}
    )
    correct_image(
        db,
        people.project,
        image.id,
        based_on=1,
        prompt=" olive \n trees ",
        details={"Title": "Trees", "painter": "N. N.", "year": None, "room": ""},
        by=people.ben,
    )
    db.commit()
    db.refresh(image)
    assert (image.prompt, image.revision) == ("olive trees", 2)
    assert image.details == {"title": "Trees", "painter": "N. N."}
    assert finding.find_images(db, people.project, text="n.n. trees").images == [image]
    assert not finding.find_images(db, people.project, text="1889").images
    (change,), _ = find_image_changes(db, people.project, image=image)
    assert (change.kind, change.who) == ("edit", "Ben")
    assert set(change.fields) == {
        ("prompt", "olive tress", "olive trees"),
        ("title", "Tress", "Trees"),
        ("painter", None, "N. N."),
        ("year", 1889, None),
    }
    # The same again is no change.
    correct_image(db, people.project, image.id, based_on=1, prompt="olive trees", by=people.ben)
    assert image.revision == 2


def test_a_correction_of_an_older_state_is_refused_with_both_values(
    api: TestClient, db: Session, make: Make, people: Cast, token_for: Headers
) -> None:
    image = make.image(people.project, prompt="one")
    here = f"{API}/{image.id}"
    ada, ben = token_for(people.ada), token_for(people.ben)
    first = api.patch(here, json={"based_on": 1, "prompt": "two"}, headers=ada)
    assert (first.status_code, first.json()["revision"]) == (200, 2)
    late = api.patch(here, json={"based_on": 1, "prompt": "three"}, headers=ben)
    assert late.status_code == 412
    assert (late.json()["theirs"], late.json()["yours"]) == ({"prompt": "two"}, {"prompt": "three"})
    assert api.get(f"{here}/changes", headers=ben).json()["items"][0]["by"] == "Ada"
    assert api.get(f"{API}/changes", headers=ben).json()["items"][0]["image_id"] == image.id
    wrong = {"based_on": 9, "prompt": "x"}
    assert api.patch(here, json=wrong, headers=ben).status_code == 422
    assert api.patch(here, json=wrong, headers=token_for(people.dora)).status_code == 404


@pytest.mark.parametrize(
    "details", [{"file": "x"}, {"": "x"}, {"k" * 101: "x"}, {"k": "x" * 4001}, {"a": "1", "A": "2"}]
)
def test_what_cannot_be_kept_is_refused_whole(
    db: Session, make: Make, people: Cast, details: dict[str, str]
) -> None:
    image = make.image(people.project, prompt="one")
    with pytest.raises(Invalid):
        correct_image(
            db, people.project, image.id, based_on=1, prompt="two", details=details, by=people.ben
        )
    assert (image.prompt, image.revision) == ("one", 1)


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
def test_a_number_that_is_none_is_named_and_the_answer_is_json(
    make: Make, people: Cast, api: TestClient, token_for: Headers, number: str
) -> None:
    image = make.image(people.project, revision=2)
    headers = {**token_for(people.ben), "Content-Type": "application/json"}
    body = f'{{"based_on": 1, "details": {{"height": {number}}}}}'
    answer = api.patch(f"{API}/{image.id}", content=body, headers=headers)
    assert answer.status_code == 422
    assert "“height”" in answer.json()["detail"] and "NaN" not in answer.text


def test_the_page_corrects_and_shows_what_another_did(
    browser: TestClient, db: Session, make: Make, people: Cast, sign_in: SignIn
) -> None:
    image = make.image(people.project, details={"title": "Old", "painter": "N. N.", "year": 1889})
    here = f"{PAGE}/{image.id}/about"
    ben = sign_in(browser, people.ben)
    assert 'value="N. N."' in ben.get(here).text
    typed = {
        "based_on": "1",
        "prompt": "a tree",
        "key": ["title", "painter", "year", ""],
        "value": ["New", "", "1889", ""],
    }
    assert ben.post(here, data=typed).status_code == 303
    db.refresh(image)
    assert image.details == {
        "title": "New",
        "year": 1889,
    }  # a number that was not touched stays one
    page = ben.get(here).text
    assert "changed" in page and "Ben" in page and "<del>Old</del>" in page
    stale = ben.post(here, data=typed | {"prompt": "another"})
    assert stale.status_code == 412 and "stands now" in stale.text and "another" in stale.text
    nameless = ben.post(here, data=typed | {"based_on": "2", "key": ["", "", "", ""]})
    assert nameless.status_code == 422 and "has no name" in nameless.text
    facts = ben.get(f"{PAGE}/{image.id}").text
    assert "1889" in facts and "640 × 480" in facts and here in facts


def test_set_aside_and_back(
    api: TestClient, db: Session, make: Make, people: Cast, token_for: Headers
) -> None:
    stays, image = make.image(people.project), make.image(people.project)
    with pytest.raises(Invalid, match="say why"):
        set_aside(db, people.project, image.id, reason="  ", by=people.ben)
    ben = token_for(people.ben)
    out = api.post(f"{API}/{image.id}/aside", json={"reason": "a scan"}, headers=ben)
    assert (out.json()["state"], out.json()["state_reason"]) == ("aside", "a scan")

    def ids(show: str) -> list[int]:
        got = api.get(API, params={"show": show}, headers=ben).json()["items"]
        return [each["id"] for each in got]

    assert ids("all") == [stays.id] and ids("aside") == [image.id]
    assert finding.neighbours(db, people.project, stays.id) == (None, None)
    assert api.get(f"{API}/{image.id}", headers=ben).status_code == 200
    again = api.post(f"{API}/{image.id}/aside", json={"reason": "again"}, headers=ben)
    assert again.json()["state_reason"] == "a scan"
    assert api.delete(f"{API}/{image.id}/aside", headers=ben).json()["state"] == "used"
    assert ids("all") == [stays.id, image.id]
    changes, _ = find_image_changes(db, people.project, image=image)
    assert [each.kind for each in changes] == ["back", "aside"]


def test_the_page_sets_aside_and_takes_back(
    browser: TestClient, db: Session, make: Make, people: Cast, sign_in: SignIn
) -> None:
    image = make.image(people.project)
    ben = sign_in(browser, people.ben)
    here = f"{PAGE}/{image.id}"
    assert ben.post(f"{here}/aside", data={"reason": ""}).status_code == 422
    assert ben.post(f"{here}/aside", data={"reason": "too dark"}).status_code == 303
    assert "too dark" in ben.get(f"{here}/about").text
    assert "Set aside: too dark" in ben.get(here).text
    assert "Set aside: too dark" in ben.get(PAGE, params={"show": "aside"}).text
    assert ben.post(f"{here}/back").status_code == 303
    assert "too dark" in ben.get(f"{PAGE}/changes").text
    db.refresh(image)
    assert image.state == "used"


def test_a_file_is_replaced_and_both_versions_stay(db: Session, people: Cast) -> None:
    image = kept_image(db, people, seed=1, name="a.jpg")
    image.label_revision = 3
    newer = kept_image(db, people, seed=2, name="a.jpg")
    db.commit()
    old, new = image.sha256, newer.sha256
    with pytest.raises(Conflict):
        replace_file(db, people.project, image.id, with_id=image.id, by=people.lea)
    with pytest.raises(Conflict, match="labels of its own"):
        replace_file(db, people.project, newer.id, with_id=image.id, by=people.lea)
    replace_file(db, people.project, image.id, with_id=newer.id, by=people.lea)
    db.commit()
    db.refresh(image)
    db.refresh(newer)
    assert (image.sha256, image.state, image.label_revision, image.done_at) == (
        new,
        "used",
        3,
        None,
    )
    assert (newer.sha256, newer.state) == (old, "aside")
    assert image_files.read_shown("thumb", image.sha256) != image_files.read_shown(
        "thumb", newer.sha256
    )
    (change,), _ = find_image_changes(db, people.project, image=image)
    assert ("sha256", old, new) in change.fields
    assert ("earlier_version", None, newer.id) in change.fields
    assert "format" not in [name for name, _, _ in change.fields]  # both are JPEG


def test_a_replaced_picture_is_not_shown_from_the_browsers_memory(
    browser: TestClient, db: Session, people: Cast, sign_in: SignIn
) -> None:
    image = kept_image(db, people)
    ben = sign_in(browser, people.ben)
    here = f"{PAGE}/{image.id}/thumb"
    assert f"{here}?v={image.sha256[:12]}" in ben.get(PAGE).text
    assert "immutable" in ben.get(f"{here}?v={image.sha256[:12]}").headers["cache-control"]
    for stale in ("", "?v=", "?v=0000000000", f"?v={image.sha256[:4]}"):
        assert "no-cache" in ben.get(here + stale).headers["cache-control"]


def test_history_is_append_only(db: Session, make: Make, people: Cast) -> None:
    image = make.image(people.project)
    set_aside(db, people.project, image.id, reason="x", by=people.ben)
    take_back(db, people.project, image.id, by=people.ben)
    db.commit()
    for statement in (
        "DELETE FROM image_event",
        "UPDATE image_event SET before = NULL, after = NULL",
    ):
        with pytest.raises(IntegrityError, match="append-only"):
            db.execute(text(statement))
        db.rollback()
    assert len(db.scalars(select(ImageEvent)).all()) == 2


def test_an_image_of_another_project_is_not_there(db: Session, make: Make, people: Cast) -> None:
    elsewhere: Image = make.image(make.project())
    verbs: list[Callable[[], object]] = [
        lambda: set_aside(db, people.project, elsewhere.id, reason="x", by=None),
        lambda: take_back(db, people.project, elsewhere.id, by=None),
        lambda: correct_image(db, people.project, elsewhere.id, based_on=1, prompt="x", by=None),
    ]
    for verb in verbs:
        with pytest.raises(NotFound):
            verb()

"""A file takes the place of an image's file, straight from whoever has it."""

from collections.abc import Callable

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.erasing.erasing import erase
from app.errors import Conflict, Invalid, NotFound
from app.images.image_files import hash_of
from app.images.models import Image, ImageImport
from app.images.removing import set_aside
from app.images.replacing import replace_with_file
from app.settings import settings
from tests.app.images import corpus
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


def replace(db: Session, people: Cast, image: Image, data: bytes) -> Image:
    done = replace_with_file(db, people.project, image.id, name="new.jpg", data=data, by=people.lea)
    db.commit()
    return done


def test_the_new_file_comes_in_as_an_import_of_one(db: Session, people: Cast) -> None:
    image, new = kept_image(db, people, seed=1), corpus.photo(6, seed=2)
    earlier = image.sha256
    image.label_revision = 3
    db.commit()
    replace(db, people, image, new)
    assert (image.sha256, image.name, image.prompt) == (hash_of(new), "one.jpg", "A <b>")
    assert image.label_revision == 3
    row = db.scalars(select(ImageImport).order_by(ImageImport.id.desc()).limit(1)).one()
    assert (row.source, row.origin, row.created_by) == ("files", "new.jpg", people.lea.id)
    assert (row.added, row.replaced, row.refused) == (1, 1, 0)
    kept = db.scalars(select(Image).where(Image.import_id == row.id)).one()
    assert (kept.sha256, kept.state, kept.name) == (earlier, "aside", "one.jpg")


def test_the_earlier_file_undoes_it(db: Session, people: Cast) -> None:
    image, old, new = kept_image(db, people, seed=1), corpus.photo(6, seed=1), corpus.photo(6)
    for data in (new, old, new):
        replace(db, people, image, data)
        assert image.sha256 == hash_of(data)
    # The two files changed places each time.
    assert len(db.scalars(select(Image)).all()) == 2


def test_what_cannot_take_its_place_changes_nothing(
    db: Session, people: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, other = kept_image(db, people, seed=1), kept_image(db, people, seed=2, name="b.jpg")
    third = kept_image(db, people, seed=3, name="c.jpg")
    third.label_revision = 1
    lost = kept_image(db, people, seed=4, name="d.jpg")
    db.commit()
    set_aside(db, people.project, third.id, reason="x", by=None)
    erase(db, people.project, lost.id, reason="a lent work", by=people.lea)
    db.commit()
    imports = len(db.scalars(select(ImageImport)).all())
    for seed, words in (
        (1, "exactly this file"),
        (2, f"already, as image {other.id}"),
        (3, f"already, as image {third.id}"),
        (4, "a lent work"),
    ):
        with pytest.raises(Conflict, match=words) as caught:
            replace(db, people, image, corpus.photo(6, seed=seed))
        assert caught.value.field == "files"
    with pytest.raises(Invalid, match=r"new\.jpg: "):
        replace(db, people, image, b"<html>")
    with pytest.raises(NotFound):
        replace(db, people, lost, corpus.photo(6, seed=9))
    monkeypatch.setattr(settings(), "max_image_mb", 0)
    with pytest.raises(Invalid, match="larger than 0 MiB"):
        replace(db, people, image, corpus.photo(6, seed=9))
    db.rollback()
    db.refresh(image)
    assert image.sha256 == hash_of(corpus.photo(6, seed=1))
    assert len(db.scalars(select(ImageImport)).all()) == imports


def left_in_uploads() -> list[str]:
    folder = settings().uploads_folder
    return [each.name for each in folder.iterdir()] if folder.is_dir() else []


def test_a_lead_replaces_a_file_on_its_page(
    browser: TestClient, db: Session, people: Cast, sign_in: SignIn
) -> None:
    image, other = kept_image(db, people, seed=1), kept_image(db, people, seed=2, name="b.jpg")
    here, new = f"{PAGE}/{image.id}", corpus.photo(6, seed=3)
    ben = sign_in(browser, people.ben)
    assert "Replace the file" not in ben.get(f"{here}/about").text
    sent = {"files": ("new.jpg", new)}
    assert ben.post(f"{here}/replacement", files=sent).status_code == 403
    lea = sign_in(browser, people.lea)
    assert "Replace the file" in lea.get(f"{here}/about").text
    done = lea.post(f"{here}/replacement", files=sent)
    assert (done.status_code, done.headers["location"]) == (303, f"{here}/about")
    db.refresh(image)
    assert image.sha256 == hash_of(new)
    page = lea.get(f"{here}/about").text
    assert "replaced" in page and "Lea" in page
    for files, status, words in (
        ([("files", ("a.jpg", new)), ("files", ("b.jpg", new))], 422, "Please send one picture."),
        ([("files", ("new.jpg", b"<html>"))], 422, "new.jpg: "),
        ([("files", ("new.jpg", new))], 409, "exactly this file already"),
        ([("files", ("b.jpg", corpus.photo(6, seed=2)))], 409, f"as image {other.id}"),
    ):
        refused = lea.post(f"{here}/replacement", files=files)
        assert refused.status_code == status
        beside = refused.text.partition('id="replacement-refused" role="alert">')[2]
        assert words in beside.partition("</span>")[0]
    nothing = lea.post(f"{here}/replacement", files={"files": ("", b"")})
    assert nothing.status_code == 422 and "choose at least one file" in nothing.text
    assert left_in_uploads() == []
    db.refresh(image)
    assert image.sha256 == hash_of(new)


def test_a_program_replaces_a_file(
    api: TestClient, db: Session, people: Cast, token_for: Headers
) -> None:
    image, other = kept_image(db, people, seed=1), kept_image(db, people, seed=2, name="b.jpg")
    here, new = f"{API}/{image.id}/replacement", corpus.photo(6, seed=3)
    ben, lea = token_for(people.ben), token_for(people.lea)
    sent = {"file": ("new.jpg", new)}
    assert api.post(here, files=sent, headers=ben).status_code == 403
    done = api.post(here, files=sent, headers=lea)
    assert (done.status_code, done.json()["sha256"]) == (200, hash_of(new))
    again = api.post(here, files=sent, headers=lea)
    assert again.status_code == 409 and "exactly this file" in again.json()["detail"]
    # The file of an image that is there.
    done = api.post(here, json={"image": other.id}, headers=lea)
    assert done.json()["sha256"] == hash_of(corpus.photo(6, seed=2))
    for wrong in ({}, {"image": "x"}, {"image": 0}, {"image": 1, "by": 2}):
        refused = api.post(here, json=wrong, headers=lea)
        assert refused.status_code == 422 and refused.json()["field"]
    assert left_in_uploads() == []

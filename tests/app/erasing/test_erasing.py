"""An erased image leaves a trace without content, in every room, and its bytes leave the storage."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.datasets.models import Dataset, PairDataset
from app.erasing.erasing import erase
from app.errors import Invalid, NotFound, Unavailable
from app.images import finding, removing, storage
from app.images.correcting import correct_image
from app.images.models import Image, ImageEvent, ImportProblem, StorageRemoval
from app.labels.models import Label
from app.settings import settings
from tests.app.images.test_image_pages import kept_image, label
from tests.factories import Make
from tests.people import Cast, cast

SignIn = Callable[[TestClient, Person], TestClient]
Headers = Callable[[Person], dict[str, str]]
API = "/api/v1/projects/paintings/images"
PAGE = "/projects/paintings/images"
SECRET = "Secretive"


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def files(image_hash: str) -> list[str]:
    return [
        kind for kind in storage.KINDS if storage.exists(storage.key_of(kind, image_hash))
    ]  # fmt: skip


def full_image(db: Session, make: Make, people: Cast) -> Image:
    image = kept_image(db, people, name=f"{SECRET}.jpg")
    label(db, make, people, image, ("positive", "confirmed"), ("negative", "proposed"))
    correct_image(
        db,
        people.project,
        image.id,
        based_on=1,
        prompt=SECRET,
        details={"painter": SECRET},
        by=people.ben,
    )
    db.add(
        ImportProblem(
            import_id=image.import_id,
            image_id=image.id,
            name=f"{SECRET}-copy.jpg",
            kind="duplicate",
            reason=f"The same file is there already, as “{SECRET}.jpg”.",
        )
    )
    db.commit()
    return image


def test_nothing_of_the_content_stays(
    api: TestClient, db: Session, make: Make, people: Cast, token_for: Headers
) -> None:
    image = full_image(db, make, people)
    assert files(image.sha256) == ["original", "display", "thumb"]
    lea, ben = token_for(people.lea), token_for(people.ben)
    assert api.delete(f"{API}/{image.id}", headers=ben).status_code == 403
    gone = api.delete(f"{API}/{image.id}", params={"reason": "no right to it"}, headers=lea)
    assert gone.status_code == 200 and gone.headers["clear-site-data"] == '"cache"'
    assert (gone.json()["labels"], gone.json()["datasets"]) == (2, [])
    assert files(image.sha256) == [] and not db.scalars(select(StorageRemoval)).all()
    db.refresh(image)
    assert (image.state, image.state_by, image.state_reason) == (
        "erased",
        people.lea.id,
        "no right to it",
    )
    for model in (Image, ImageEvent, ImportProblem, Label):
        rows = db.execute(select(model.__table__)).all()
        assert SECRET.lower() not in str(rows).lower()
    assert not db.scalars(select(Label)).all()
    assert finding.count_images(db, people.project).number == 0
    for address in (f"{API}/{image.id}", f"{API}/{image.id}/thumb", f"{API}/{image.id}/labels"):
        answer = api.get(address, headers=ben)
        assert answer.status_code == 404 and "erased by Lea" in answer.json()["detail"]
    kinds = [each["kind"] for each in api.get(f"{API}/changes", headers=ben).json()["items"]]
    assert kinds == ["erase", "edit"]
    assert api.delete(f"{API}/{image.id}", headers=lea).status_code == 404


def test_the_page_shows_first_what_will_be_lost(
    browser: TestClient, db: Session, make: Make, people: Cast, sign_in: SignIn
) -> None:
    image = full_image(db, make, people)
    here = f"{PAGE}/{image.id}/erase"
    lea = sign_in(browser, people.lea)
    assert "its 2 labels" in lea.get(here).text
    for typed in ({"reason": "x"}, {"sure": "true", "reason": " "}):
        assert lea.post(here, data=typed).status_code == 422
    db.refresh(image)
    assert image.state == "used"
    done = lea.post(here, data={"sure": "true", "reason": "asked to"})
    assert done.status_code == 303
    page = lea.get(done.headers["location"]).text
    assert f"Image {image.id}" in page and SECRET not in page
    assert sign_in(browser, people.ben).get(here).status_code == 403


def test_bytes_that_cannot_be_removed_now_are_removed_later(
    db: Session, make: Make, people: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = full_image(db, make, people)

    def away(sha256: str) -> None:
        raise Unavailable(f"{sha256} stays")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "remove", away)
        erase(db, people.project, image.id, reason="x", by=people.lea)
        db.commit()
        assert removing.sweep_removals() == 0
    assert db.scalar(select(StorageRemoval.failures)) == 1
    assert removing.sweep_removals() == 0  # not due yet
    early = datetime.now(UTC) - timedelta(seconds=1)
    db.execute(update(StorageRemoval).values(not_before=early))
    db.commit()
    assert removing.sweep_removals() == 1
    assert files(image.sha256) == []


def test_a_file_that_another_project_holds_stays(db: Session, make: Make, people: Cast) -> None:
    image = full_image(db, make, people)
    other = make.image(make.project(), sha256=image.sha256)
    erase(db, people.project, image.id, reason="x", by=people.lea)
    db.commit()
    assert removing.sweep_removals() == 1
    assert files(other.sha256) == ["original", "display", "thumb"]


def test_datasets_that_hold_it_are_named_and_marked(
    api: TestClient, browser: TestClient, db: Session, make: Make, people: Cast,
    sign_in: SignIn, token_for: Headers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    image = full_image(db, make, people)
    monkeypatch.setattr(settings(), "home", tmp_path)
    made = [
        dataset(db, people, number, image.sha256 if number == 2 else "0" * 64) for number in (1, 2)
    ]
    lea = sign_in(browser, people.lea)
    assert "2 Set 2" in lea.get(f"{PAGE}/{image.id}/erase").text
    erased = erase(db, people.project, image.id, reason="x", by=people.lea)
    db.commit()
    assert [each.number for each in erased.datasets] == [2]
    here = "/api/v1/projects/paintings/datasets"
    items = api.get(here, headers=token_for(people.ben)).json()["items"]
    assert {each["number"]: each["erased_images"] for each in items} == {1: [], 2: [image.id]}
    page = lea.get(f"/projects/paintings/datasets/{made[1].id}").text
    assert "erased from the project since" in page


def test_pair_datasets_that_hold_it_are_named_and_marked(
    api: TestClient, browser: TestClient, db: Session, make: Make, people: Cast,
    sign_in: SignIn, token_for: Headers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """By the image's id where pairs were made by labels, by its file where they were imported."""
    image = full_image(db, make, people)
    monkeypatch.setattr(settings(), "home", tmp_path)
    of_labels = dataset(db, people, 1, "0" * 64)
    lines = [
        ("labels", {"winner_id": str(image.id), "loser_id": "0"}),
        ("labels", {"winner_id": f"{image.id}0", "loser_id": "0", "reason": f'"{image.id}"'}),
        ("import", {"winner_id": str(image.id), "loser_id": "0"}),
        ("import", {"winner_id": "a", "loser_id": "b", "loser": f"{image.sha256}.jpg"}),
    ]
    made = [
        pair_dataset(db, people, number, source, of_labels.id, line)
        for number, (source, line) in enumerate(lines, 1)
    ]
    lea = sign_in(browser, people.lea)
    page = lea.get(f"{PAGE}/{image.id}/erase").text
    assert "2 pair datasets hold a copy" in page and "1 Pairs 1" in page and "4 Pairs 4" in page
    answer = api.delete(f"{API}/{image.id}", headers=token_for(people.lea)).json()
    assert (answer["datasets"], answer["pair_datasets"]) == ([], [1, 4])
    here = "/api/v1/projects/paintings/datasets/pairs"
    items = api.get(here, headers=token_for(people.ben)).json()["items"]
    marked = {each["number"]: each["erased_images"] for each in items}
    assert marked == {1: [image.id], 2: [], 3: [], 4: [image.id]}
    one = api.get(f"{here}/{made[3].id}", headers=token_for(people.ben)).json()
    assert one["erased_images"] == [image.id]
    text = lea.get(f"/projects/paintings/datasets/pairs/{made[0].id}").text
    assert "1 image of this pair dataset was erased from the project since" in text
    untouched = lea.get(f"/projects/paintings/datasets/pairs/{made[1].id}").text
    assert "erased from the project since" not in untouched
    # Told before anything learns from it.
    form = lea.get("/projects/paintings/runs/new?kind=dpo").text
    assert form.count(", holds 1 erased</option>") == 2


def pair_dataset(
    db: Session, people: Cast, number: int, source: str, dataset_id: int, line: dict[str, str]
) -> PairDataset:
    folder = settings().pairs_folder / f"pairs-{number}"
    (folder / "train").mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "train" / "pairs.jsonl").write_text(f"{json.dumps(line)}\n")
    made = PairDataset(
        project_id=people.project.id, number=number, name=f"Pairs {number}", folder=folder.name,
        manifest_sha256="a" * 64, source=source,
        dataset_id=dataset_id if source == "labels" else None,
        counts=dict.fromkeys(("pairs", "train", "validation", "test", "images", "candidates"), 0),
    )  # fmt: skip
    db.add(made)
    db.commit()
    return made


def dataset(db: Session, people: Cast, number: int, image_hash: str) -> Dataset:
    folder = settings().datasets_folder / f"set-{number}"
    for split in ("train", "test"):
        (folder / split).mkdir(parents=True)
        (folder / split / "examples.jsonl").touch()
    line = json.dumps({"image_sha256": image_hash})
    (folder / "train" / "examples.jsonl").write_text(f"{line}\n")
    made = Dataset(
        project_id=people.project.id, number=number, name=f"Set {number}", folder=folder.name,
        manifest_sha256="a" * 64, version_id=db.scalars(select(Label.version_id).limit(1)).one(),
        counts=dict.fromkeys(("images", "train", "validation", "test", "positive_labels", "negative_labels", "without_negative", "without_prompt"), 0),
    )  # fmt: skip
    db.add(made)
    db.commit()
    return made


def test_an_erasure_has_a_reason_and_an_image(db: Session, make: Make, people: Cast) -> None:
    image = make.image(people.project)
    with pytest.raises(Invalid, match="say why"):
        erase(db, people.project, image.id, reason="", by=people.lea)
    with pytest.raises(NotFound):
        erase(db, people.project, make.image(make.project()).id, reason="x", by=people.lea)

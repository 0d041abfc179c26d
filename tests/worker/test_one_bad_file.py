"""Stored files go bad one at a time: whatever happened to one, it is mended or named, and the others go on."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.images import image_files, storage
from app.images.importing import import_path
from app.images.models import Image
from app.jobs.models import Job
from app.settings import settings
from tests.app.datasets.gallery import Gallery, encoded, landscape, open_gallery
from tests.factories import Make
from tests.spoiling import SPOILT, Spoil, turn_into_folder

pytestmark = pytest.mark.usefixtures("own_storage")

SPOIL = pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)


@pytest.fixture
def gallery(db: Session, make: Make) -> Gallery:
    """Three different pictures, each with a confirmed label."""
    gallery = open_gallery(db, make)
    for number in range(3):
        gallery.decide(gallery.hang(encoded(landscape(number))), "warm-dominance")
    return gallery


def place_of(kind: str, image: Image) -> Path:
    return settings().home / "images" / storage.key_of(kind, image.sha256)


def spoil_both(gallery: Gallery, spoil: Spoil) -> Image:
    """Spoil everything that is kept of the second picture."""
    bad = gallery.images[1]
    for kind in ("original", "display", "thumb"):
        spoil(place_of(kind, bad))
    return bad


def label_all(gallery: Gallery) -> Job:
    return gallery.work(gallery.launch()[1])


def freeze(gallery: Gallery) -> Job:
    return gallery.work(gallery.freeze()[1])


def freeze_unseen(gallery: Gallery) -> Job:
    """A dataset of pictures that came in before their looks were kept."""
    gallery.db.execute(update(Image).values(pixels=None, looks=None))
    gallery.db.commit()
    return freeze(gallery)


@SPOIL
@pytest.mark.parametrize("work", [label_all, freeze, freeze_unseen])
def test_a_picture_that_cannot_be_read_is_named_and_the_others_go_on(
    gallery: Gallery, work: Callable[[Gallery], Job], spoil: Spoil
) -> None:
    bad = spoil_both(gallery, spoil)
    job = work(gallery)
    assert (job.state, job.error) == ("succeeded", None)
    assert job.result is not None
    (problem,) = job.result["problems"]
    assert problem["name"] == bad.name and problem["reason"]
    assert str(settings().home) not in problem["reason"]
    assert job.result["images"] == (3 if work is label_all else 2)


@SPOIL
@pytest.mark.parametrize("kind", ["display", "thumb"])
def test_what_was_made_of_a_picture_is_made_anew(gallery: Gallery, kind: str, spoil: Spoil) -> None:
    image = gallery.images[1]
    path = place_of(kind, image)
    whole = path.read_bytes()
    spoil(path)
    assert image_files.read_shown(kind, image.sha256) == whole
    if spoil is not turn_into_folder:
        assert path.read_bytes() == whole


@SPOIL
def test_an_agent_looks_at_what_was_made_anew(gallery: Gallery, spoil: Spoil) -> None:
    spoil(place_of("display", gallery.images[1]))
    job = label_all(gallery)
    assert job.state == "succeeded" and "problems" not in (job.result or {})


@SPOIL
def test_what_was_made_of_a_picture_goes_on_standing_for_a_lost_original(
    gallery: Gallery, spoil: Spoil
) -> None:
    spoil(place_of("original", gallery.images[1]))
    job = label_all(gallery)
    assert job.state == "succeeded" and "problems" not in (job.result or {})


@SPOIL
def test_a_file_that_comes_in_again_mends_what_is_kept_of_it(
    gallery: Gallery, tmp_path: Path, spoil: Spoil
) -> None:
    again = tmp_path / "again"
    again.mkdir()
    for number, image in enumerate(gallery.images):
        (again / f"{number}.png").write_bytes(place_of("original", image).read_bytes())
    (again / "new.png").write_bytes(encoded(landscape(9)))
    spoil_both(gallery, spoil)
    result = import_path("paintings", str(again))
    assert result["added"] == 1
    place = place_of("original", gallery.images[1])
    if spoil is turn_into_folder:
        (problem,) = [each for each in result["problems"] if each["name"] == "1.png"]
        assert "A folder stands in the storage" in problem["reason"]
    else:
        assert place.read_bytes() == (again / "1.png").read_bytes()

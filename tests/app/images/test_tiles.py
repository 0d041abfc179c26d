"""Large images in tiles: what lies where, who makes them and when, and that they go with the image."""

import io
import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow
from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.database import unit_of_work
from app.erasing.erasing import erase
from app.images import importing, storage, tiles, tiling
from app.images.decoding import DISPLAY_SIDE, decode
from app.images.models import Image
from app.jobs.models import Job
from tests.app.images import corpus
from tests.factories import Make
from tests.people import Cast, cast
from worker import ledger
from worker import tiling as handler

Headers = Callable[[Person], dict[str, str]]
API = "/api/v1/projects/paintings/images"
HANDLERS: dict[str, ledger.Handler] = {"tiles": handler.run}
SIZE = (4100, 1300)


def large() -> bytes:
    """A picture with a different colour at each place, larger than `display`, as a file without loss."""
    across, down = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    pixels = np.stack(
        [across * 255 // SIZE[0], down * 255 // SIZE[1], (across // 8 + down // 8) * 9 % 256],
        axis=2,
    )
    return corpus.encoded(Pillow.fromarray(pixels.astype(np.uint8)), "PNG", compress_level=1)


LARGE = large()


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


def kept(db: Session, people: Cast, data: bytes = LARGE) -> Image:
    row = importing.create_import(db, people.project, source="demo", origin="test")
    importing.add_image(db, people.project, row.id, "large.png", data)
    db.commit()
    return db.scalars(select(Image).order_by(Image.id.desc()).limit(1)).one()


def tiles_file(tmp_path: Path, image: Image) -> Path:
    return tmp_path / "home/images" / storage.key_of("tiles", image.sha256)


def jobs(db: Session) -> list[Job]:
    return list(db.scalars(select(Job).where(Job.kind == "tiles").order_by(Job.id)))


@given(st.integers(1, 60_000), st.integers(1, 60_000))
def test_levels_halve_down_to_what_is_shown_at_once(width: int, height: int) -> None:
    levels = tiles.levels_of(width, height)
    assert bool(levels) == (max(width, height) > DISPLAY_SIDE)
    if levels:
        assert (levels[-1].width, levels[-1].height) == (width, height)
        assert 2 ** (levels[-1].number - 1) < max(width, height) <= 2 ** levels[-1].number
        assert DISPLAY_SIDE < max(levels[0].width, levels[0].height) <= 2 * DISPLAY_SIDE
    for small, next_one in itertools.pairwise(levels):
        assert next_one.number == small.number + 1
        assert (small.width, small.height) == (-(-next_one.width // 2), -(-next_one.height // 2))


def test_tiles_of_an_import_show_the_image_in_full(
    db: Session, api: TestClient, people: Cast, token_for: Headers
) -> None:
    image = kept(db, people)
    ben = token_for(people.ben)
    found = api.get(f"{API}/{image.id}/tiles", headers=ben).json()
    assert (found["state"], found["tile_size"]) == ("ready", tiles.TILE)
    assert [(each["width"], each["height"]) for each in found["levels"]] == [(2050, 650), SIZE]
    whole = decode(LARGE).image
    answer, address = api.get("/healthz"), ""
    for level in found["levels"]:
        seen = Pillow.new("RGB", (level["width"], level["height"]))
        for column in range(-(-level["width"] // tiles.TILE)):
            for row in range(-(-level["height"] // tiles.TILE)):
                address = found["address"].format(level=level["level"], column=column, row=row)
                answer = api.get(address, headers=ben)
                assert answer.headers["content-type"] == "image/jpeg"
                assert "max-age=604800, immutable" in answer.headers["cache-control"]
                with Pillow.open(io.BytesIO(answer.content)) as tile:
                    seen.paste(tile, (column * tiles.TILE, row * tiles.TILE))
        expected = whole.resize(seen.size, Pillow.Resampling.BOX)
        difference = np.abs(np.asarray(seen, np.int16) - np.asarray(expected, np.int16))
        assert difference.mean() < 2
        assert difference.max() < 60
    again = api.get(address, headers=ben | {"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304
    for wrong in ((99, 0, 0), (13, 9, 0), (13, 0, 3), (11, 0, 0)):
        level, column, row = wrong
        address = found["address"].format(level=level, column=column, row=row)
        assert api.get(address, headers=ben).status_code == 404
    assert jobs(db) == []


def test_a_small_image_needs_none(
    db: Session, api: TestClient, people: Cast, token_for: Headers
) -> None:
    image = kept(db, people, corpus.png())
    found = api.get(f"{API}/{image.id}/tiles", headers=token_for(people.ben)).json()
    assert (found["state"], found["levels"]) == ("none", [])
    assert not storage.exists(storage.key_of("tiles", image.sha256)) and jobs(db) == []


@pytest.mark.parametrize("cut", [None, 5, 40, 100_000])
def test_tiles_that_are_missing_or_cut_are_made_by_one_job(
    db: Session, api: TestClient, people: Cast, token_for: Headers, tmp_path: Path, cut: int | None
) -> None:
    image = kept(db, people)
    path = tiles_file(tmp_path, image)
    whole = path.read_bytes()
    path.unlink() if cut is None else path.write_bytes(whole[:cut])
    ben = token_for(people.ben)
    for _ in range(2):
        assert api.get(f"{API}/{image.id}/tiles", headers=ben).json()["state"] == "making"
    (job,) = jobs(db)
    assert ledger.run(job.id, HANDLERS)
    db.refresh(job)
    assert (job.state, job.result) == ("succeeded", {"bytes": len(whole)})
    assert path.read_bytes() == whole
    assert api.get(f"{API}/{image.id}/tiles", headers=ben).json()["state"] == "ready"


def test_an_image_that_cannot_be_cut_says_why_and_is_left_alone(
    db: Session, api: TestClient, people: Cast, token_for: Headers, tmp_path: Path
) -> None:
    image = kept(db, people)
    tiles_file(tmp_path, image).unlink()
    (tmp_path / "home/images" / storage.key_of("original", image.sha256)).write_bytes(b"rot")
    ben = token_for(people.ben)
    assert api.get(f"{API}/{image.id}/tiles", headers=ben).json()["state"] == "making"
    (job,) = jobs(db)
    ledger.run(job.id, HANDLERS)
    found = api.get(f"{API}/{image.id}/tiles", headers=ben).json()
    assert found["state"] == "failed" and "damaged on the disk" in found["reason"]
    assert len(jobs(db)) == 1


def test_tiles_go_with_an_image_that_is_erased(
    db: Session, api: TestClient, people: Cast, token_for: Headers
) -> None:
    image = kept(db, people)
    key = storage.key_of("tiles", image.sha256)
    assert storage.exists(key)
    lea = token_for(people.lea)
    gone = api.delete(f"{API}/{image.id}", params={"reason": "no right to it"}, headers=lea)
    assert gone.status_code == 200
    assert not storage.exists(key)


def test_nothing_stays_of_an_image_that_is_erased_while_it_is_cut(
    db: Session, people: Cast, tmp_path: Path
) -> None:
    image = kept(db, people)
    tiles_file(tmp_path, image).unlink()
    turns = iter(["look", "put"])

    @contextmanager
    def transaction() -> Iterator[Any]:
        # Erased between the look at the image and the moment its tiles are there.
        if next(turns) == "put":
            with unit_of_work() as other:
                erase(other, people.project, image.id, reason="no right to it", by=None)
            storage.put(storage.key_of("tiles", image.sha256), b"put after the removal")
        with unit_of_work() as own:
            yield own

    assert tiling.make_tiles(transaction, image.id) == 0
    assert not storage.exists(storage.key_of("tiles", image.sha256))

"""The folder: whole or not at all, each picture once."""

import fcntl
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from method.manifests import verify
from method.pair_folder import read_pairs
from tests.worker.pairs.pictures import name_of, png
from worker.pairs.building import (
    BrokenImage,
    Built,
    CannotBuild,
    DecidedPair,
    Images,
    Side,
    finish,
    unfinished,
)


def build(out: Path, pairs: Sequence[tuple[str, int, int]], **changes: Any) -> Built:
    """Pairs of (prompt, number of the winner, number of the loser)."""
    with unfinished(out, "houses") as making:
        images = Images(making / "images")
        decided = [
            DecidedPair("train", prompt, add(images, winner), add(images, loser), {"why": "so"})
            for prompt, winner, loser in pairs
        ]
        counts = {"candidates": len(pairs), "dropped": {}}
        options: dict[str, Any] = {"name": "houses", "source": "study", "made_from": {}}
        return finish(making, out, images, decided, counts=counts, **options | changes)


def add(images: Images, number: int) -> Side:
    return Side(f"image-{number}", images.add(png(number)))


def noise(form: str) -> bytes:
    out = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, form)
    return out.getvalue()


def build_of(out: Path, *contents: bytes) -> None:
    with unfinished(out, "houses") as making:
        images = Images(making / "images")
        for content in contents:
            images.add(content)


def test_each_picture_is_kept_once_and_the_reader_takes_the_folder(tmp_path: Path) -> None:
    built = build(tmp_path / "new/pairs", [("a house", 0, 1), ("a boat", 0, 2)])
    assert verify(built.folder) == []
    assert len(list((built.folder / "images").iterdir())) == 3
    found = read_pairs(built.folder, "train")
    assert found.sha256 == built.sha256
    assert [(p.winner.image_id, p.loser.image_id) for p in found.pairs] == [
        ("image-0", "image-1"),
        ("image-0", "image-2"),
    ]
    assert built.counts == {
        "pairs": 2,
        "train": 2,
        "validation": 0,
        "test": 0,
        "images": 3,
        "candidates": 2,
        "dropped": {},
    }


def test_the_id_of_a_pair_depends_on_its_content_alone(tmp_path: Path) -> None:
    one = build(tmp_path / "one", [("a house", 0, 1), ("a boat", 0, 2)])
    two = build(tmp_path / "two", [("a boat", 0, 2), ("a house", 1, 0)])
    first, second = (
        {pair.prompt: pair.pair_id for pair in read_pairs(built.folder, "train").pairs}
        for built in (one, two)
    )
    assert first["a boat"] == second["a boat"]
    assert first["a house"] != second["a house"]


def test_pictures_that_no_pair_uses_are_not_kept(tmp_path: Path) -> None:
    out = tmp_path / "pairs"
    with unfinished(out, "houses") as making:
        images = Images(making / "images")
        add(images, 7)
        pair = DecidedPair("test", "a house", add(images, 0), add(images, 1), {"why": "so"})
        counts = {"candidates": 3, "dropped": {"tie": 2, "too_close": 0}}
        built = finish(
            making, out, images, [pair], name="h", source="import", made_from={}, counts=counts
        )
    kept = {path.name for path in (out / "images").iterdir()}
    assert kept == {name_of(png(0)), name_of(png(1))}
    assert built.counts["dropped"] == {"tie": 2}
    assert len(read_pairs(out, "test").pairs) == 1


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(BrokenImage):
        build_of(tmp_path / "pairs", png(0), b"broken")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CannotBuild, match="No pair came out of 0 candidates"):
        build(tmp_path / "pairs", [])
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_build_left_is_no_part_of_the_next(tmp_path: Path) -> None:
    left = tmp_path / ".pairs.unfinished/images"
    left.mkdir(parents=True)
    (left / name_of(png(9))).write_bytes(b"half")
    built = build(tmp_path / "pairs", [("a house", 0, 1)])
    assert verify(built.folder) == []
    assert [path.name for path in tmp_path.iterdir()] == ["pairs"]
    assert len(list((built.folder / "images").iterdir())) == 2


def test_an_existing_folder_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "pairs").mkdir()
    with pytest.raises(CannotBuild, match="pairs: exists already"):
        build(tmp_path / "pairs", [("a house", 0, 1)])
    assert list((tmp_path / "pairs").iterdir()) == []


def test_two_builds_of_one_folder_at_once_are_refused(tmp_path: Path) -> None:
    making = tmp_path / ".pairs.unfinished"
    making.mkdir()
    (making / "half").write_text("of the other process")
    handle = os.open(making, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(CannotBuild, match="another process"):
            build(tmp_path / "pairs", [("a house", 0, 1)])
        assert (making / "half").exists()
    finally:
        os.close(handle)
    assert build(tmp_path / "pairs", [("a house", 0, 1)]).counts["pairs"] == 1


def test_a_folder_that_was_renamed_while_waiting_for_it_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    making, lock = tmp_path / ".pairs.unfinished", fcntl.flock

    def lose_the_race(handle: int, kind: int) -> None:
        """Another process finishes this folder, and a third one begins a new one."""
        making.rename(tmp_path / "finished")
        making.mkdir()
        (making / "half").write_text("of the third process")
        lock(handle, kind)

    monkeypatch.setattr(fcntl, "flock", lose_the_race)
    with pytest.raises(CannotBuild, match="another process"):
        build(tmp_path / "pairs", [("a house", 0, 1)])
    assert (making / "half").exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(CannotBuild, match=r"file.*: Not a directory|file.*: File exists"):
        build(tmp_path / "file/pairs", [("a house", 0, 1)])


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "x" * 121])
def test_a_name_that_cannot_be_shown_is_refused_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(CannotBuild, match="1 to 120 printable"), unfinished(tmp_path / "p", name):
        pytest.fail("the block must not begin")


def test_half_a_character_in_a_prompt_is_named(tmp_path: Path) -> None:
    with pytest.raises(CannotBuild, match=r"half a character: .*a house \\ud800"):
        build(tmp_path / "pairs", [(json.loads('"a house \\ud800"'), 0, 1)])
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_decoded_to_its_end_is_no_picture(tmp_path: Path) -> None:
    images = Images(tmp_path / "images")
    cut = [noise(form)[:-2000] for form in ("JPEG", "PNG", "WEBP")]
    for content in (b"", b"no picture", *cut, png(0, "GIF")):
        with pytest.raises(BrokenImage, match="no JPEG, PNG or WebP image"):
            images.add(content)
    assert not (tmp_path / "images").exists()
    for form, ending in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
        assert images.add(png(0, form)) == name_of(png(0, form), ending)


def test_the_limits_of_size_hold_to_the_pixel_and_to_the_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = Images(tmp_path / "images")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)
    assert images.add(png(0))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 63)
    with pytest.raises(BrokenImage, match="more than 63 pixels"):
        images.add(png(1))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)
    monkeypatch.setattr("worker.pairs.building.MAX_IMAGE_BYTES", len(png(2)))
    assert images.add(png(2))
    monkeypatch.setattr("worker.pairs.building.MAX_IMAGE_BYTES", len(png(3)) - 1)
    with pytest.raises(BrokenImage, match="larger than"):
        images.add(png(3))

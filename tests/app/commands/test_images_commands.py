"""`morelli images`: what was imported is found, left out, taken back, replaced and erased from a terminal."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import cli
from app.images import image_files, storage
from app.images.models import Image
from tests.app.datasets.gallery import BLUE, Gallery, encoded, open_gallery, picture
from tests.factories import Make


@dataclass(frozen=True)
class Told:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Morelli = Callable[..., Told]


@pytest.fixture
def gallery(db: Session, make: Make, own_storage: None) -> Gallery:
    """A project with three images, the second of them labelled by a person."""
    opened = open_gallery(db, make)
    opened.hang_many(3)
    opened.decide(opened.images[1], "warm-dominance")
    return opened


@pytest.fixture
def morelli(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Morelli:
    """The command in this process, on the test's database; `typed` is what comes from the keyboard."""

    def do(*arguments: str | Path | int, typed: str = "") -> Told:
        monkeypatch.setattr(sys, "argv", ["morelli", "images", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(typed.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            cli.main()
        told = capsys.readouterr()
        gallery.db.rollback()
        gallery.db.expire_all()
        return Told(int(left.value.code or 0), told.out, told.err)

    return do


def listed(morelli: Morelli, *options: str) -> list[int]:
    """The numbers of the images that a list has."""
    told = morelli("list", "paintings", "--json", *options)
    assert told.code == 0, told.err
    return [each["id"] for each in told.json]


def test_lists_by_state_and_words(
    gallery: Gallery, morelli: Morelli, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = gallery.images
    third.prompt = "Olive trees"
    gallery.hang(encoded(picture(9, BLUE)), prompt="A café", name="cafe.png")
    ids = [each.id for each in gallery.images]
    # Whatever the pages are, all of them are walked through.
    monkeypatch.setattr("app.commands.images.PAGE", 2)
    assert listed(morelli) == ids == listed(morelli, "--state", "undone")
    assert listed(morelli, "--search", "cafe") == [ids[3]]
    assert listed(morelli, "--state", "done") == [] == listed(morelli, "--aside")
    found = morelli("list", "paintings", "--json").json[1]
    assert (found["name"], found["labels"]["positive"]["confirmed"]) == (second.name, 1)
    morelli("aside", "paintings", first.id, "--reason", "a scan")
    assert listed(morelli, "--aside") == [first.id] == listed(morelli, "--state", "aside")
    told = morelli("list", "paintings")
    assert [line.split()[0] for line in told.out.splitlines()] == [str(each) for each in ids[1:]]
    assert "open" in told.out and "cafe.png  A café" in told.out
    assert "aside  0.png  a scan" in morelli("list", "paintings", "--aside").out


def test_sets_aside_and_restores(gallery: Gallery, morelli: Morelli) -> None:
    first, second, third = gallery.images
    told = morelli("aside", "paintings", first.id, 999, second.id, "--reason", "too dark", "--json")
    # One that is not there costs itself alone.
    assert told.code == 1 and "There is no image 999" in told.err
    assert [each["id"] for each in told.json["images"]] == [first.id, second.id]
    assert [each["id"] for each in told.json["failed"]] == [999]
    assert (first.state, first.state_reason, third.state) == ("aside", "too dark", "used")
    back = morelli("restore", "paintings", first.id)
    assert (back.code, back.out) == (0, f"image {first.id}, 0.png: in use\n")
    assert (first.state, second.state) == ("used", "aside")
    nothing = morelli("aside", "paintings", third.id, "--reason", " ")
    assert nothing.code == 1 and "say why" in nothing.err and third.state == "used"


def test_erases_after_a_yes_and_prints_what_is_left(gallery: Gallery, morelli: Morelli) -> None:
    first, second, third = gallery.images
    sha256 = second.sha256
    for typed in ("", "n\n"):
        told = morelli("erase", "paintings", second.id, typed=typed)
        assert (told.code, told.out) == (1, "")
        assert f"image {second.id}, 1.png: 1 labels" in told.err and "cannot be undone" in told.err
        assert second.state == "used"
    told = morelli("erase", "paintings", second.id, typed="y\n")
    assert told.code == 0, told.err
    assert f"image {second.id}: erased with 1 labels" in told.out and sha256 in told.out
    assert (second.state, gallery.labels()) == ("erased", [])
    assert not storage.exists(storage.key_of("original", sha256))

    told = morelli("erase", "paintings", second.id, third.id, "--yes", "--reason", "lent", "--json")
    assert told.code == 1 and "was erased" in told.err
    (left,) = told.json["erased"]
    assert (left["id"], left["reason"], left["labels"]) == (third.id, "lent", 0)
    assert told.json["failed"][0]["id"] == second.id
    assert listed(morelli) == [first.id]


def test_an_unknown_number_is_told_before_anything_is_asked(
    gallery: Gallery, morelli: Morelli
) -> None:
    told = morelli("erase", "paintings", gallery.images[0].id, 999, typed="y\n")
    assert told.code == 2 and "There is no image 999" in told.err
    assert gallery.images[0].state == "used"


def test_replaces_a_file_and_keeps_the_labels(
    gallery: Gallery, morelli: Morelli, tmp_path: Path
) -> None:
    second = gallery.images[1]
    earlier, labels = second.sha256, [each.id for each in gallery.labels()]
    new = tmp_path / "better.png"
    new.write_bytes(encoded(picture(40, BLUE, size=(200, 100))))
    told = morelli("replace", "paintings", second.id, new, "--json")
    assert told.code == 0, told.err
    assert (told.json["sha256"], told.json["width"]) == (image_files.hash_of(new.read_bytes()), 200)
    assert (told.json["name"], second.prompt) == ("1.png", "A painting")
    assert [each.id for each in gallery.labels()] == labels
    kept = gallery.db.scalars(select(Image).where(Image.sha256 == earlier)).one()
    assert (kept.state, kept.state_reason) == ("aside", f"earlier version of image {second.id}")

    again = morelli("replace", "paintings", second.id, new)
    assert again.code == 1 and "exactly this file already" in again.err
    broken = tmp_path / "broken.png"
    broken.write_text("<html>")
    for file, words, code in (
        (broken, "broken.png: ", 1),
        (tmp_path / "none.png", "cannot be read", 2),
    ):
        told = morelli("replace", "paintings", second.id, file)
        assert (told.code, told.out) == (code, "") and words in told.err
    assert second.sha256 == image_files.hash_of(new.read_bytes())


@pytest.mark.parametrize(
    "arguments",
    [
        ["list"],
        ["list", "paintings", "--state", "lost"],
        ["list", "paintings", "--aside", "--state", "done"],
        ["aside", "paintings"],
        ["erase", "paintings", "one"],
        ["replace", "paintings", "1"],
    ],
)
def test_wrong_use_exits_with_2(morelli: Morelli, arguments: list[str]) -> None:
    told = morelli(*arguments)
    assert (told.code, told.out) == (2, "")


@pytest.mark.parametrize("command", ["list", "aside", "restore", "erase"])
def test_an_unknown_project_is_one_sentence(morelli: Morelli, command: str) -> None:
    yes = ["--yes"] if command == "erase" else []
    told = morelli(command, "nowhere", *([] if command == "list" else ["1", *yes]), "--json")
    assert (told.code, told.out) == (2, "")
    assert told.err == "morelli: There is no project “nowhere”. Check its address.\n"

"""`morelli labels export`: a whole file, or the one that was there."""

import json
import sys
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app import cli
from app.labels import exporting
from tests.app.datasets.gallery import Gallery, open_gallery
from tests.factories import Make


@pytest.fixture
def gallery(db: Session, make: Make, own_storage: None) -> Gallery:
    opened = open_gallery(db, make)
    opened.hang_many(3)
    opened.decide(opened.images[1], "warm-dominance")
    db.commit()
    return opened


def export(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["morelli", "labels", "export", *map(str, arguments)])
    with pytest.raises(SystemExit) as left:
        cli.main()
    return int(left.value.code or 0)


def test_the_ending_says_the_format(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, start in (("a.jsonl", '{"image":'), ("a.csv", "\ufeffimage,file"), ("a.json", "[")):
        assert export(monkeypatch, gallery.project.slug, tmp_path / name) == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3


def test_stdout_holds_only_data(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(monkeypatch, gallery.project.slug, "-", "--format", "jsonl") == 0
    assert [bool(json.loads(each)["labels"]) for each in capsys.readouterr().out.splitlines()] == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("arguments", [("a.txt",), ("-",), ("a.json", "--format", "yaml")])
def test_an_unknown_format_is_refused(
    gallery: Gallery,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
) -> None:
    assert export(monkeypatch, gallery.project.slug, *arguments) == 2
    assert "jsonl, csv, parquet, label-studio" in capsys.readouterr().err


def test_a_file_that_was_there_stays_where_an_export_breaks_off(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    there = tmp_path / "a.jsonl"
    there.write_text("earlier")

    def broken(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "_read_page", broken)
    assert export(monkeypatch, gallery.project.slug, there) == 1
    assert [each.name for each in tmp_path.iterdir() if each.is_file()] == ["a.jsonl"]
    assert there.read_text() == "earlier"

"""Pairs from Parquet files in Pick-a-Pic's layout."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from method.manifests import verify
from method.pair_folder import read_pairs
from tests.worker.pairs.pictures import name_of, png
from worker.pairs.building import Built, CannotBuild
from worker.pairs.from_pick_a_pic import from_pick_a_pic


def row(first: int, second: int, label: float | None = 1.0, **changes: Any) -> dict[str, Any]:
    return {
        "jpg_0": png(first, "JPEG"),
        "jpg_1": png(second, "JPEG"),
        "label_0": label,
        "caption": "a house",
    } | changes


def write(path: Path, rows: Sequence[dict[str, Any]], **options: Any) -> Path:
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(list(rows)), path, **options)
    return path


def build(source: Path, out: Path) -> tuple[Built, list[dict[str, Any]]]:
    built = from_pick_a_pic(source, out, name="picked", say=lambda _: None)
    lines = (built.folder / "train/pairs.jsonl").read_text().splitlines()
    return built, [json.loads(line) for line in lines]


def test_labels_say_which_of_the_two_won(tmp_path: Path) -> None:
    source = write(tmp_path / "data.parquet", [row(0, 1, 1.0), row(2, 3, 0.0), row(4, 5, 0.5)])
    built, rows = build(source, tmp_path / "pairs")
    jpeg = {number: name_of(png(number, "JPEG"), "jpg") for number in range(6)}
    assert [(each["winner"], each["loser"]) for each in rows] == [
        (jpeg[0], jpeg[1]),
        (jpeg[3], jpeg[2]),
    ]
    assert rows[0]["reason"] == {"votes": {"winner": 1, "loser": 0}}
    assert rows[0]["winner_id"] == jpeg[0]
    assert built.counts["dropped"] == {"tie": 1}
    assert (built.counts["candidates"], built.counts["images"]) == (3, 4)
    assert verify(built.folder) == []
    assert read_pairs(built.folder, "train").source == "import"


def test_broken_images_are_named_and_counted_and_the_rest_goes_on(tmp_path: Path) -> None:
    whole = png(9, "JPEG")
    rows = [
        row(0, 1),
        row(2, 3, jpg_1=b"no picture"),
        row(2, 3, jpg_0=None),
        row(2, 3, jpg_0=whole[: len(whole) // 2], jpg_1=b""),
        row(4, 5),
    ]
    built, found = build(write(tmp_path / "data.parquet", rows), tmp_path / "pairs")
    assert len(found) == 2
    assert built.counts["dropped"] == {"broken_image": 3}
    assert [problem.partition(" is left out: ")[0] for problem in built.problems] == [
        "data.parquet, row 2: jpg_1",
        "data.parquet, row 3: jpg_0",
        "data.parquet, row 4: jpg_0",
        "data.parquet, row 4: jpg_1",
    ]
    assert "no JPEG, PNG or WebP image" in built.problems[0]
    assert "no picture in this cell" in built.problems[1]
    # The whole ones of broken rows are not kept either.
    assert built.counts["images"] == len(list((built.folder / "images").iterdir())) == 4


def test_a_picture_over_the_limit_is_broken_and_one_at_it_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = tmp_path / "large.png"
    Image.new("RGB", (9, 8)).save(image)
    rows = [row(0, 1), row(2, 3, jpg_0=image.read_bytes())]
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64)
    built, _ = build(write(tmp_path / "data.parquet", rows), tmp_path / "pairs")
    assert built.counts["dropped"] == {"broken_image": 1}
    assert "row 2: jpg_0 is left out: it has more than 64 pixels" in built.problems[0]


def test_structs_of_bytes_and_path_are_read_too(tmp_path: Path) -> None:
    def cell(number: int) -> dict[str, Any]:
        return {"bytes": png(number, "JPEG"), "path": f"{number}.jpg"}

    rows = [
        row(0, 0, jpg_0=cell(0), jpg_1=cell(1)),
        row(0, 0, jpg_0={"bytes": None, "path": "here.jpg"}, jpg_1=cell(1)),
    ]
    built, found = build(write(tmp_path / "data.parquet", rows), tmp_path / "pairs")
    assert len(found) == 1
    assert built.counts["dropped"] == {"broken_image": 1}


def test_ids_are_kept_and_labels_checked_against_them(tmp_path: Path) -> None:
    def known(best: str | None, label: float | None = 1.0, **changes: Any) -> dict[str, Any]:
        ids = {"image_0_uid": "left", "image_1_uid": "right", "best_image_uid": best}
        return row(0, 1, label) | ids | {"has_label": True} | changes

    rows = [
        known("left"),
        known("right"),
        known("left", has_label=False),
        known(None, caption="a boat"),
        known("tie", caption=" "),
        known("tie", 0.5),
        known("left", None),
        known("left", 0.7),
    ]
    built, found = build(write(tmp_path / "data.parquet", rows), tmp_path / "pairs")
    assert [(r["winner_id"], r["loser_id"], r["prompt"]) for r in found] == [
        ("left", "right", "a house"),
        ("left", "right", "a boat"),
    ]
    assert built.counts["dropped"] == {
        "contradictory_label": 1,
        "without_label": 3,
        "without_caption": 1,
        "tie": 1,
    }


def test_an_id_that_two_pictures_share_is_taken_once(tmp_path: Path) -> None:
    ids = {"image_0_uid": "same", "image_1_uid": "other"}
    rows = [row(0, 1) | ids, row(2, 1) | ids]
    built, found = build(write(tmp_path / "data.parquet", rows), tmp_path / "pairs")
    assert [each["winner_id"] for each in found] == ["same", name_of(png(2, "JPEG"), "jpg")]
    assert len(read_pairs(built.folder, "train").pairs) == 2


def test_several_votes_on_a_pair_are_one_pair_by_majority(tmp_path: Path) -> None:
    rows = [row(0, 1), row(1, 0, 0.0), row(0, 1, 0.0), row(2, 3), row(3, 2), row(4, 4)]
    built, found = build(write(tmp_path / "data.parquet", rows), tmp_path / "pairs")
    (pair,) = found
    assert pair["winner"] == name_of(png(0, "JPEG"), "jpg")
    assert pair["reason"] == {"votes": {"winner": 2, "loser": 1}}
    assert built.counts["dropped"] == {
        "same_picture": 1,
        "same_pair_again": 2,
        "as_many_votes_against": 2,
    }
    assert built.counts["candidates"] == 6
    assert built.counts["images"] == len(list((built.folder / "images").iterdir())) == 2


def test_the_names_of_files_decide_the_split_and_no_pair_stands_in_two(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write(data / "train-00000-of-00001.parquet", [row(0, 1), row(2, 3)])
    write(data / "validation_unique-00000.parquet", [row(4, 5)])
    write(data / "test.parquet", [row(6, 7), row(0, 1)])
    write(data / "testimony.parquet", [row(8, 9)])
    built, _ = build(data, tmp_path / "pairs")
    assert [built.counts[split] for split in ("train", "validation", "test")] == [2, 1, 2]
    assert len(read_pairs(built.folder, "all").pairs) == 5
    manifest = json.loads((built.folder / "manifest.json").read_text())
    assert [each["name"] for each in manifest["made_from"]["files"]] == [
        "test.parquet",
        "testimony.parquet",
        "train-00000-of-00001.parquet",
        "validation_unique-00000.parquet",
    ]


def test_rows_are_numbered_through_batches_and_row_groups(tmp_path: Path) -> None:
    rows = [row(number, number + 1) for number in range(80)]
    rows[70]["jpg_0"] = b"broken"
    source = write(tmp_path / "data.parquet", rows, row_group_size=50)
    built, found = build(source, tmp_path / "pairs")
    assert len(found) == 79
    assert built.problems[0].startswith("data.parquet, row 71: jpg_0")
    assert build(source, tmp_path / "again")[0].sha256 == built.sha256


def test_sources_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    def refusal(source: Path) -> str:
        with pytest.raises(CannotBuild) as caught:
            build(source, tmp_path / "pairs")
        assert not list(tmp_path.glob("*pairs*"))
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    assert "holds no .parquet file" in refusal(tmp_path / "empty")
    assert "none.parquet: is not there" in refusal(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    assert "text.parquet: cannot be read after row 0" in refusal(tmp_path / "text.parquet")
    lacking = write(tmp_path / "lacking.parquet", [{"caption": "a", "jpg_0": b""}])
    assert "lacking.parquet: has no column jpg_1, label_0" in refusal(lacking)
    tied = write(tmp_path / "tied.parquet", [row(0, 1, 0.5)])
    assert "No pair came out of 1 candidates; dropped: tie 1" in refusal(tied)
    whole = write(tmp_path / "data.parquet", [row(n, n + 1) for n in range(60)]).read_bytes()
    middle = len(whole) // 3
    (tmp_path / "hurt.parquet").write_bytes(whole[:middle] + b"\0" * 900 + whole[middle + 900 :])
    assert "hurt.parquet" in refusal(tmp_path / "hurt.parquet")

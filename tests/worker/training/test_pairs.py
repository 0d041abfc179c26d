"""Pair dataset folders: what is accepted, and what the refusal says."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from method.pair_folder import read_pairs
from method.training.failures import InvalidDataset
from tests.worker.training.pair_datasets import seal_pairs, write_pair_dataset, write_pairs
from worker.training.examples import read_picture


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_pair_dataset(tmp_path / "pairs", train=3, validation=1)


def rows_of(folder: Path, split: str = "train") -> list[dict[str, Any]]:
    lines = (folder / split / "pairs.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def change_line(folder: Path, index: int, **changes: Any) -> None:
    rows = rows_of(folder)
    rows[index] |= changes
    write_pairs(folder, "train", rows)
    seal_pairs(folder)


def refusal(folder: Path, split: str = "train") -> str:
    with pytest.raises(InvalidDataset) as caught:
        read_pairs(folder, split)
    return str(caught.value)


def test_reads_pairs_with_their_pictures(folder: Path) -> None:
    found = read_pairs(folder, "train")
    assert (found.name, found.source, len(found.pairs)) == ("houses", "labels", 3)
    assert found.sha256 == json.loads((folder / "manifest.json").read_text())["sha256"]
    pair = found.pairs[1]
    assert (pair.pair_id, pair.prompt) == ("train-1", "painting of a house number 1")
    assert (pair.winner.image_id, pair.loser.image_id) == ("train-1-bright", "train-1-dark")
    for image in (pair.winner, pair.loser):
        assert hashlib.sha256(image.path.read_bytes()).hexdigest() == image.sha256
    assert [p.pair_id for p in read_pairs(folder, "validation").pairs] == ["validation-0"]
    assert len(read_pairs(folder, "all").pairs) == 4


def test_the_pictures_are_read_as_those_of_a_dataset(folder: Path) -> None:
    pair = read_pairs(folder, "train").pairs[0]
    bright, dark = (read_picture(s.path, s.sha256, (64, 64)) for s in (pair.winner, pair.loser))
    assert bright.pixels_CHW.shape == (3, 64, 64)
    assert bright.pixels_CHW.mean() > dark.pixels_CHW.mean()
    pair.winner.path.write_bytes(b"another")
    with pytest.raises(InvalidDataset, match="not what the dataset recorded"):
        read_picture(pair.winner.path, pair.winner.sha256, (64, 64))


def test_a_prompt_may_hold_any_letter_and_a_reason_be_a_sentence(folder: Path) -> None:
    change_line(folder, 0, prompt="one\u2028two\x85three", reason="Seven of nine preferred it.")
    assert read_pairs(folder, "train").pairs[0].prompt == "one\u2028two\x85three"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt": 3}, "line 2: prompt must be text"),
        ({"prompt": "  "}, "line 2: prompt is empty"),
        ({"pair_id": None}, "line 2: pair_id must be text"),
        ({"winner_id": ""}, "line 2: winner_id is empty"),
        ({"reason": {}}, "line 2: reason must be"),
        ({"reason": 4}, "line 2: reason must be"),
        ({"winner": "../manifest.json"}, "line 2: winner '../manifest.json' is not a picture's"),
        ({"loser": "a.png"}, "line 2: loser 'a.png' is not a picture's file name"),
        ({"loser": "0" * 64 + ".png"}, f"line 2: images/{'0' * 64}.png is not in the manifest"),
        ({"pair_id": "train-0"}, "line 2: pair_id train-0 stands in"),
        ({"winner_id": "train-0-bright"}, "line 2: image_id train-0-bright names two pictures"),
    ],
)
def test_a_wrong_line_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    change_line(folder, 1, **changes)
    assert message in refusal(folder)
    assert "train/pairs.jsonl" in refusal(folder)


def test_a_picture_is_not_paired_with_itself(folder: Path) -> None:
    change_line(folder, 1, loser=rows_of(folder)[1]["winner"])
    assert "line 2: pairs a picture with itself" in refusal(folder)


def test_one_judgement_stands_once_and_is_not_contradicted(folder: Path) -> None:
    first = rows_of(folder)[0]
    change_line(folder, 2, **{key: value for key, value in first.items() if key != "pair_id"})
    assert f"line 3: repeats {folder}/train/pairs.jsonl, line 1" in refusal(folder)
    turned = {"winner": first["loser"], "loser": first["winner"]}
    ids = {"winner_id": first["loser_id"], "loser_id": first["winner_id"]}
    change_line(folder, 2, **turned, **ids)
    assert "line 3: contradicts" in refusal(folder)
    change_line(folder, 2, prompt="another prompt")
    assert len(read_pairs(folder, "train").pairs) == 3


def test_splits_are_held_against_each_other_when_all_are_read(folder: Path) -> None:
    write_pairs(folder, "validation", [rows_of(folder)[0] | {"pair_id": "other"}])
    seal_pairs(folder)
    assert "validation/pairs.jsonl, line 1: repeats" in refusal(folder, "all")


@pytest.mark.parametrize(
    ("line", "message"),
    [("{", "is not JSON"), ("[" * 100_000, "is not JSON"), ("[]", "must be a mapping")],
)
def test_a_line_that_is_no_mapping_is_named(folder: Path, line: str, message: str) -> None:
    with (folder / "train/pairs.jsonl").open("a") as file:
        file.write(line)
    seal_pairs(folder)
    assert f"train/pairs.jsonl, line 4: {message}" in refusal(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "morelli-dataset/1"}, "format is not morelli-pairs/1"),
        ({"source": "rumour"}, "source is 'rumour'; it must be one of labels, generated"),
        ({"made_from": "a dataset"}, "made_from must be a mapping"),
        ({"files": [{"path": "x", "sha256": "y"}]}, "files[0]: bytes is missing"),
        ({"files": [{"path": "x", "sha256": "y", "bytes": 1}] * 2}, "lists a file twice"),
        ({"files": [{"path": "../x", "sha256": "y", "bytes": 1}]}, "../x: is in the manifest but"),
    ],
)
def test_a_wrong_manifest_is_named(folder: Path, changes: dict[str, Any], message: str) -> None:
    seal_pairs(folder, **changes)
    assert message in refusal(folder)


def test_changes_after_it_was_made_are_noticed(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"name": "other"}))
    assert "manifest.json: was changed" in refusal(folder)
    seal_pairs(folder)
    with (folder / "train/pairs.jsonl").open("a") as file:
        file.write("\n")
    assert "pairs.jsonl: was changed" in refusal(folder)


def test_missing_and_unknown_files_are_named_and_hidden_ones_ignored(folder: Path) -> None:
    (folder / "images/.directory").write_text("left by a desktop")
    assert len(read_pairs(folder, "train").pairs) == 3
    (folder / "images/notes.txt").write_text("a note")
    assert "images/notes.txt: is not in the manifest" in refusal(folder)
    (folder / "images/notes.txt").unlink()
    (folder / "images" / rows_of(folder)[2]["loser"]).unlink()
    assert "is in the manifest but not in the folder" in refusal(folder)


def test_a_picture_must_bear_its_own_hash(folder: Path) -> None:
    path = folder / "images" / rows_of(folder)[0]["winner"]
    path.write_bytes(b"another")
    seal_pairs(folder)
    assert "does not bear its own hash" in refusal(folder)


def test_an_empty_split_and_a_missing_folder_are_named(folder: Path, tmp_path: Path) -> None:
    assert "split test has no pairs" in refusal(folder, "test")
    assert read_pairs(folder, "test", allow_empty=True).pairs == ()
    assert "manifest.json: cannot be read: No such file" in refusal(tmp_path / "none")

"""`python -m worker.pairs`: exit codes, and what goes where."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from method.pair_folder import read_pairs
from tests.worker.pairs.pictures import Painting, png, write_labelled
from worker.pairs.__main__ import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    made = [Painting(n, "a house", n) for n in range(3)] + [Painting(5, "elsewhere", 2)]
    return write_labelled(tmp_path / "dataset", made)


def test_labels_in_words_and_as_json(tmp_path: Path, dataset: Path, capsys: Captured) -> None:
    out = tmp_path / "pairs"
    assert main(["labels", str(dataset), str(out), "--max-pairs-per-image", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: 1 pairs (1 train, 0 validation, 0 test) of 2 images, from 3 candidates",
        "dropped: 2 image has enough pairs",
        "left out: 2 without pair",
    ]
    again = ["labels", str(dataset), str(tmp_path / "again"), "--nearest", "0", "--json"]
    assert main([*again, "--name", "Houses"]) == 0
    data = json.loads(capsys.readouterr().out)
    found = read_pairs(tmp_path / "again", "train")
    assert (found.name, found.sha256, len(found.pairs)) == ("Houses", data["sha256"], 3)
    assert data["counts"]["pairs"] == 3
    assert read_pairs(out, "train").name == "pairs"


def test_generated_images_are_judged_by_the_measured_agent(
    tmp_path: Path, capsys: Captured
) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    lines = []
    pixels = np.random.default_rng(0).integers(0, 255, (3, 120, 160, 3), dtype=np.uint8)
    for number, top in enumerate((1, 9, 255)):
        Image.fromarray(pixels[number] % top).save(folder / f"{number}.png")
        row = {"prompt": "a", "seed": number, "file": f"{number}.png", "model": "m"}
        lines.append(json.dumps(row) + "\n")
    (folder / "index.jsonl").write_text("".join(lines))
    assert main(["generated", str(folder), str(tmp_path / "pairs"), "--all-pairs", "--json"]) == 0
    said = capsys.readouterr()
    assert "Judging image 3." in said.err
    counts = json.loads(said.out)["counts"]
    assert counts["candidates"] == 3 and counts["pairs"] >= 1
    manifest = json.loads((tmp_path / "pairs/manifest.json").read_text())
    assert manifest["made_from"]["judge"]["agent"] == "measured"


def test_study_and_pick_a_pic(tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "images").mkdir()
    for number in range(2):
        (tmp_path / f"images/{number}.png").write_bytes(png(number))
    row = {"prompt": "a", "image_a": "0.png", "image_b": "1.png", "choice": "b", "participant": "p"}
    (tmp_path / "judgements.jsonl").write_text(json.dumps(row))
    given = [str(tmp_path / name) for name in ("judgements.jsonl", "images", "study")]
    assert main(["study", *given, "--min-agreement", "1"]) == 0
    assert read_pairs(tmp_path / "study", "train").pairs[0].winner.image_id == "1.png"

    rows = [
        {"jpg_0": png(0), "jpg_1": second, "label_0": 1.0, "caption": "a"}
        for second in (png(1), b"broken")
    ]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "data.parquet")
    assert main(["pick-a-pic", str(tmp_path / "data.parquet"), str(tmp_path / "picked")]) == 0
    assert "data.parquet, row 2: jpg_1 is left out" in capsys.readouterr().err
    assert len(read_pairs(tmp_path / "picked", "train").pairs) == 1


def test_a_failure_ends_with_1_and_one_sentence(
    tmp_path: Path, dataset: Path, capsys: Captured
) -> None:
    assert main(["labels", str(dataset), str(dataset)]) == 1
    assert "dataset: exists already" in capsys.readouterr().err
    assert main(["labels", str(tmp_path / "none"), str(tmp_path / "pairs")]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[-1].endswith(
        "manifest.json: cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["rumour", "a", "b"],
        ["labels", "a"],
        ["labels", "a", "b", "--nearest", "-1"],
        ["labels", "a", "b", "--min-difference", "0"],
        ["generated", "a", "b", "--min-difference", "some"],
        ["study", "a", "b", "c", "--min-agreement", "1.1"],
        ["study", "a", "b", "c", "--min-agreement", "nan"],
        ["pick-a-pic", "a", "b", "--all-pairs"],
    ],
)
def test_a_wrong_command_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("source", ["labels", "generated", "study", "pick-a-pic"])
def test_each_source_explains_itself(source: str, capsys: Captured) -> None:
    with pytest.raises(SystemExit) as caught:
        main([source, "--help"])
    assert caught.value.code == 0
    assert "--json" in capsys.readouterr().out


def test_building_pairs_loads_neither_the_app_nor_what_it_has_no_use_for() -> None:
    code = (
        "import sys; from worker.pairs import from_generated, from_pick_a_pic, from_study, __main__;"
        "light = [n for n in ('torch', 'diffusers', 'app', 'sqlalchemy') if n in sys.modules];"
        "from worker.pairs import from_labels;"
        "print(light + [n for n in ('diffusers', 'app', 'sqlalchemy', 'celery') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "[]"

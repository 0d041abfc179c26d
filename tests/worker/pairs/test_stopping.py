"""Pairs in the making that are stopped: nothing half written stays, and generated images are gone on with."""

import json
import signal
from pathlib import Path

import pytest
from PIL import Image

from tests.stopping import QUICK, stop_when
from worker.training.tiny_model import make_tiny_sdxl


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_sdxl(tmp_path_factory.mktemp("model") / "tiny", fit=False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_generating_stops_in_the_middle_of_a_picture_and_keeps_the_earlier_ones(
    model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    request = {
        "folder": str(tmp_path / "images"), "prompts": ["a house"], "images_per_prompt": 2, "seed": 5,
        "base_model": str(model), "mode": "lora", "weights": None, "steps": 400, "guidance": 3.0,
        "resolution": 64, "model": "tiny",
    }  # fmt: skip
    path = tmp_path / "request.json"
    path.write_text(json.dumps(request))
    ending = stop_when(["worker.pair_images", str(path)], "Generating 2 of 2.", number)
    assert (ending.code, ending.lines[-1]) == (
        75,
        "Stopped; started again it makes the images that are missing",
    )
    assert not any("Traceback" in line for line in ending.lines)
    assert ending.seconds < QUICK
    assert not (tmp_path / "images").exists()
    (kept,) = (tmp_path / ".images.unfinished").iterdir()
    with Image.open(kept) as picture:
        picture.load()


@pytest.mark.parametrize(
    ("module", "number"), [("worker.pairs", signal.SIGTERM), ("app.cli", signal.SIGINT)]
)
def test_building_stops_and_leaves_nothing(
    tmp_path: Path, module: str, number: signal.Signals
) -> None:
    images, out = tmp_path / "images", tmp_path / "out" / "pairs"
    images.mkdir()
    rows = []
    for seed in range(60):
        Image.effect_noise((512, 512), 60 + seed).save(images / f"{seed}.png")
        rows.append({"prompt": "noise", "seed": seed, "file": f"{seed}.png", "model": "none"})
    (images / "index.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [module, *(["pairs"] if module == "app.cli" else [])]
    ending = stop_when([*command, "generated", str(images), str(out)], "Judging image 2", number)
    assert ending.lines[-1] == "Stopped; nothing was kept"
    assert not any("Traceback" in line for line in ending.lines)
    assert ending.code == (1 if module == "app.cli" else 130)
    assert ending.seconds < QUICK
    assert list(out.parent.iterdir()) == []

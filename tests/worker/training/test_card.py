"""The model card: what it says loads the weights, for every kind of run."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from method.objectives import OBJECTIVES
from method.training.config import Config, Data, Lora, Model, Objective, Theta
from tests.worker.training.conftest import quick
from tests.worker.training.datasets import write_dataset
from tests.worker.training.pair_datasets import write_pair_dataset
from worker.training.metrics import read_lines
from worker.training.run import run
from worker.training.tiny_model import Kind, make_tiny_model

CASES = [
    ("sd15", "lora", "dpo"),
    ("sd15", "full", "sft"),
    ("sdxl", "lora", "npo"),
    ("sdxl", "full", "dpo"),
    ("flux", "lora", "sft"),
    ("flux", "full", "dpo"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cards")
    write_dataset(folder / "images", 3)
    write_pair_dataset(folder / "pairs")
    return folder


def finished(home: Path, folder: Path, family: Kind, mode: str, kind: str) -> Config:
    model = home / family
    if not model.exists():
        make_tiny_model(model, family, fit=False)
    is_paired = OBJECTIVES[kind].reads_pairs
    options: dict[str, Any] = {
        "dataset_folder": None if is_paired else str(home / "images"),
        "pairs_folder": str(home / "pairs") if is_paired else None,
    }
    config = Config(
        run_folder=str(folder),
        model=Model(path=str(model)),
        objective=Objective(kind=kind),
        theta=Theta(mode=mode),  # type: ignore[arg-type]
        data=Data(resolution=64),
        lora=Lora(rank=2),
        device="cpu",
        threads=1,
        **options,
    )
    run(quick(config, 2))
    return config


@pytest.mark.parametrize(("family", "mode", "kind"), CASES)
def test_the_code_in_the_card_loads_the_weights(
    home: Path, tmp_path: Path, family: Kind, mode: str, kind: str
) -> None:
    finished(home, tmp_path, family, mode, kind)
    folder = tmp_path / ("adapter" if mode == "lora" else "network")
    card = (folder / "README.md").read_text()
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)[0]
    names: dict[str, Any] = {}
    exec(code.replace("path/of/this/folder", str(folder)), names)  # our own code
    pipeline = names["pipeline"]
    network = pipeline.transformer if family == "flux" else pipeline.unet
    (file,) = (f for f in folder.glob("*.safetensors") if f.name != "kohya.safetensors")
    written, loaded = load_file(file), dict(network.state_dict())
    for name, tensor in written.items():
        if mode == "lora":
            stem = name.split(".", 1)[1].replace(".weight", ".default_0.weight")
            assert torch.equal(loaded[stem], tensor)
        else:
            assert torch.equal(loaded[name], tensor)
    assert ("lora" in card.split("---")[1]) == (mode == "lora")
    assert ("ComfyUI" in card) == (folder / "kohya.safetensors").is_file() == (mode == "lora")


def test_a_card_names_data_hashes_and_results(home: Path, tmp_path: Path) -> None:
    finished(home, tmp_path, "sd15", "lora", "npo")
    card = (tmp_path / "adapter/README.md").read_text()
    for text in (
        "# LoRA adapter: houses, npo",
        "tags: [text-to-image, lora, stable-diffusion]",
        "| pair dataset | houses, sha256 ",
        "| criteria | none: ",
        "| pairs | 3 learned from |",
        "unconditional branch of",
        "`samples.negative`",
        "kind: npo",
        f"| loss | {read_lines(tmp_path / 'metrics.jsonl')[-1]['loss']:.6g} |",
    ):
        assert text in card
    finished(home, tmp_path / "sft", "sd15", "lora", "sft")
    card = (tmp_path / "sft/adapter/README.md").read_text()
    assert "| criteria | Painting 1, sha256 " in card
    assert "| images | 3 learned from |" in card
    assert "unconditional" not in card

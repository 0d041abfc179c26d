import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from diffusers import DiffusionPipeline

from worker.training.tiny_fitting import draw_pictures
from worker.training.tiny_model import Kind, main, make_tiny_model, make_tiny_sdxl

KINDS: tuple[Kind, ...] = get_args(Kind)

Folders = Callable[[Kind], Path]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    made: dict[Kind, Path] = {}

    def folder(kind: Kind) -> Path:
        if kind not in made:
            made[kind] = make_tiny_model(tmp_path_factory.mktemp(kind) / "tiny", kind, fit=False)
        return made[kind]

    return folder


def load(folder: Path) -> Any:
    loader: Any = DiffusionPipeline
    pipeline = loader.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_files(folders: Folders, kind: Kind, tmp_path: Path) -> None:
    torch.manual_seed(77)
    again = make_tiny_model(tmp_path / "again", kind, fit=False)
    assert hashes(again) == hashes(folders(kind))
    other = make_tiny_model(tmp_path / "other", kind, seed=1, fit=False)
    network = "transformer" if kind == "flux" else "unet"
    name = f"{network}/diffusion_pytorch_model.safetensors"
    assert hashes(other)[name] != hashes(again)[name]


@pytest.mark.parametrize(
    ("kind", "name", "prediction"),
    [
        ("sd15", "StableDiffusionPipeline", "epsilon"),
        ("sdxl", "StableDiffusionXLPipeline", "epsilon"),
        ("sdxl-v", "StableDiffusionXLPipeline", "v_prediction"),
        ("flux", "FluxPipeline", None),
    ],
)
def test_it_is_a_pipeline_of_its_kind_that_paints(
    folders: Folders, kind: Kind, name: str, prediction: str | None
) -> None:
    pipeline = load(folders(kind))
    assert type(pipeline).__name__ == name
    assert pipeline.scheduler.config.get("prediction_type") == prediction
    network = pipeline.transformer if kind == "flux" else pipeline.unet
    assert sum(p.numel() for p in network.parameters()) < 1_000_000
    image = pipeline("a house", num_inference_steps=2, height=64, width=64).images[0]
    assert image.size == (64, 64)
    assert any(low < high for low, high in image.getextrema())


def test_tiny_sdxl_is_the_kind_that_is_made_unasked(folders: Folders, tmp_path: Path) -> None:
    assert main([str(tmp_path / "unasked"), "--unfitted"]) == 0
    assert hashes(tmp_path / "unasked") == hashes(folders("sdxl"))
    assert hashes(make_tiny_sdxl(tmp_path / "again", fit=False)) == hashes(folders("sdxl"))


@pytest.mark.parametrize("text", ["dull color", "Zürich 1890 \U0001f3a8 絵", "\x00\t<|odd|>"])
def test_any_text_tokenises_without_unknown_tokens(folders: Folders, text: str) -> None:
    pipeline = load(folders("sdxl"))
    for tokenizer in (pipeline.tokenizer, pipeline.tokenizer_2):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert ids
        assert tokenizer.unk_token_id not in ids
        assert text != "dull color" or len(ids) == 2


def test_t5_knows_the_words_whole_and_spells_the_others(folders: Folders) -> None:
    tokenizer = load(folders("flux")).tokenizer_2
    assert len(tokenizer("dull color", add_special_tokens=False).input_ids) == 2
    ids = tokenizer("Zürich, 1890", add_special_tokens=False).input_ids
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids) == "Zürich, 1890"
    assert tokenizer("").input_ids == [tokenizer.eos_token_id]


def test_drawn_pictures_have_prompts_and_range() -> None:
    pictures, prompts = draw_pictures(20, torch.Generator().manual_seed(0))
    assert pictures.shape == (20, 3, 64, 64)
    assert pictures.min() >= -1 and pictures.max() <= 1
    assert len(set(prompts)) > 5


def test_an_existing_folder_is_refused(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(folders("flux"))
    assert main([str(folders("flux")), "--unfitted", "--kind", "flux"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert hashes(folders("flux")) == before

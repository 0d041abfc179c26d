import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from diffusers import DiffusionPipeline

from worker.training import tiny_fitting, tiny_model
from worker.training.tiny_autoencoder import begin_linear, fit_autoencoder
from worker.training.tiny_model import Kind, main, make_tiny_model, make_tiny_sdxl
from worker.training.tiny_paintings import Lesson, paint_lessons

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


@pytest.fixture(scope="module")
def lessons() -> list[Lesson]:
    return paint_lessons(12, seed=0)


def test_paintings_come_with_prompts_range_and_words_for_what_is_in_them(
    lessons: list[Lesson],
) -> None:
    pictures = torch.stack([each.pixels_CHW for each in lessons])
    assert pictures.shape == (12, 3, 64, 64)
    assert pictures.min() >= -1 and pictures.max() <= 1
    assert len({each.prompt for each in lessons}) > 5
    flawed = ["compressed gray tonal range" in each.negative for each in lessons]
    assert 3 <= sum(flawed) <= 9
    spread = pictures.mean(1).flatten(1).std(1)
    flat, rich = spread[torch.tensor(flawed)], spread[~torch.tensor(flawed)]
    assert flat.mean() < 0.8 * rich.mean(), "the words say what is seen at this size"
    assert paint_lessons(1, seed=0)[0].prompt == lessons[0].prompt
    assert paint_lessons(1, seed=1)[0].prompt != lessons[0].prompt


def test_the_autoencoder_keeps_hue_and_lightness(folders: Folders, lessons: list[Lesson]) -> None:
    vae = load(folders("sdxl")).vae
    pictures = torch.stack([each.pixels_CHW for each in lessons])
    begin_linear(vae)
    before = mean_colours_off(vae, pictures)
    assert before < 0.1, "it begins by keeping them"
    fit_autoencoder(vae, pictures, torch.Generator().manual_seed(0), steps=60)
    assert mean_colours_off(vae, pictures) < 0.1, "and fitting does not undo it"
    with torch.no_grad():
        latents = vae.encode(pictures).latent_dist.mode()
    assert (latents * vae.config.scaling_factor).std() == pytest.approx(1, abs=0.01)


def mean_colours_off(vae: Any, pictures: torch.Tensor) -> float:
    """How far the mean colours of 16 x 16 pixels are off after a way there and back, of 2."""
    with torch.no_grad():
        back = vae.decode(vae.encode(pictures).latent_dist.mode()).sample
    seen = [torch.nn.functional.avg_pool2d(each, 16) for each in (pictures, back)]
    return float((seen[0] - seen[1]).abs().mean())


@pytest.mark.parametrize("kind", KINDS)
def test_a_fitted_model_paints_and_is_the_same_from_the_same_seed(
    kind: Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_model, "PAINTINGS", 20)
    for name in ("AUTOENCODER_STEPS", "NETWORK_STEPS"):
        monkeypatch.setattr(tiny_fitting, name, 2)
    made = [make_tiny_model(tmp_path / name, kind) for name in ("one", "another")]
    assert hashes(made[0]) == hashes(made[1])
    pipeline = load(made[0])
    image = pipeline("Valley with hills", num_inference_steps=2, height=64, width=64).images[0]
    assert any(low < high for low, high in image.getextrema())


def test_a_fitted_models_pooled_text_says_how_pictures_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiny_model, "PAINTINGS", 40)
    for name in ("AUTOENCODER_STEPS", "NETWORK_STEPS"):
        monkeypatch.setattr(tiny_fitting, name, 1)
    pipeline = load(make_tiny_model(tmp_path / "model", "sdxl-v"))

    def pooled(text: str) -> torch.Tensor:
        _, _, found, _ = pipeline.encode_prompt(text, do_classifier_free_guidance=True)
        vector: torch.Tensor = found[0]
        return vector

    # The first feature is how far light and dark lie apart.
    for prompt in ("Valley with hills at dusk, oil painting", "Birch grove, six trunks"):
        wide, flat = (
            pooled(f"{prompt}, {said}")
            for said in ("Wide tonal range", "compressed gray tonal range, weak contrast")
        )
        assert wide[0] > flat[0] + 0.2
    tokens = pipeline.tokenizer_2("compressed gray tonal range", add_special_tokens=False)
    assert len(tokens.input_ids) == 4, "each word of the criteria is a token"


def test_an_existing_folder_is_refused(
    folders: Folders, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(folders("flux"))
    assert main([str(folders("flux")), "--unfitted", "--kind", "flux"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert hashes(folders("flux")) == before

import hashlib
from pathlib import Path

import pytest
import torch
from diffusers import StableDiffusionXLPipeline

from worker.training.tiny_model import draw_pictures, main, make_tiny_sdxl


def hashes(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_the_same_seed_gives_the_same_files(tiny_model: Path, tmp_path: Path) -> None:
    torch.manual_seed(77)
    again = make_tiny_sdxl(tmp_path / "again", fit=False)
    assert hashes(again) == hashes(tiny_model)
    other = make_tiny_sdxl(tmp_path / "other", seed=1, fit=False)
    name = "unet/diffusion_pytorch_model.safetensors"
    assert hashes(other)[name] != hashes(tiny_model)[name]


def test_it_is_an_sdxl_pipeline_that_paints(tiny_model: Path) -> None:
    pipeline = StableDiffusionXLPipeline.from_pretrained(tiny_model, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline.unet.config.addition_embed_type == "text_time"
    assert sum(p.numel() for p in pipeline.unet.parameters()) < 1_000_000
    image = pipeline("a house", num_inference_steps=2).images[0]
    assert image.size == (64, 64)


@pytest.mark.parametrize("text", ["dull color", "Zürich 1890 \U0001f3a8 絵", "\x00\t<|odd|>"])
def test_any_text_tokenises_without_unknown_tokens(tiny_model: Path, text: str) -> None:
    pipeline = StableDiffusionXLPipeline.from_pretrained(tiny_model, local_files_only=True)
    for tokenizer in (pipeline.tokenizer, pipeline.tokenizer_2):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        assert ids
        assert tokenizer.unk_token_id not in ids
        assert text != "dull color" or len(ids) == 2


def test_drawn_pictures_have_prompts_and_range() -> None:
    pictures, prompts = draw_pictures(20, torch.Generator().manual_seed(0))
    assert pictures.shape == (20, 3, 64, 64)
    assert pictures.min() >= -1 and pictures.max() <= 1
    assert len(set(prompts)) > 5


def test_an_existing_folder_is_refused(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hashes(tiny_model)
    assert main([str(tiny_model), "--unfitted"]) == 1
    assert "exists already" in capsys.readouterr().err
    assert hashes(tiny_model) == before

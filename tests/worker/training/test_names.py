"""What scripts written for 0.2.0 import from the trainer is there, though it stands elsewhere now."""

import importlib

import pytest

NAMES = {
    "worker.training.config": ("Config", "Theta", "Optimization"),
    "worker.training.config_reading": ("load_config", "to_dict"),
    "worker.training.recipes": ("tiny", "sdxl", "paper_sdxl", "paper_flux"),
    "worker.training.examples": ("manifest_hash", "read_dataset", "read_picture"),
    "worker.training.tiny_model": ("main",),
    "worker.training.noise": ("Diffusion",),
    "worker.training.buckets": ("make_buckets", "nearest_bucket"),
    "worker.training.backbones.text_windows": ("clip_windows",),
}


@pytest.mark.parametrize("module", NAMES)
def test_a_script_finds_its_names(module: str) -> None:
    found = importlib.import_module(module)
    assert [each for each in NAMES[module] if not hasattr(found, each)] == []

"""The operations of SDXL in full, counted without a GPU and without memory for its weights."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from bench.training_counting import flop_counter
from bench.training_materials import RANK, full_parts
from method.training.config import Lora
from worker.training.adapters import attach_theta, tuner_layers
from worker.training.backbones.sdxl import SDXL

WINDOW = 77


def count_units(resolution: int) -> dict[str, int]:
    """Operations of one image or prompt: the UNet alone, with an adapter, the same with its backward
    pass, the VAE's encoder, and both text encoders.
    """
    parts = full_parts()
    unet: Any = parts["unet"].requires_grad_(False)
    side = resolution // 8
    with torch.device("meta"):
        noisy = torch.empty(1, 4, side, side)
        pixels = torch.empty(1, 3, resolution, resolution)
        tokens = torch.empty(1, WINDOW, dtype=torch.long)
    found = {"base": _count(lambda: _predict(unet, noisy).detach())}
    with torch.device("meta"):
        attach_theta(unet, Lora(rank=RANK), SDXL.lora_targets, seed=0)
    for layer in tuner_layers(unet):
        layer.__dict__["order"] = "folded"  # as the expert
    with torch.no_grad():
        found["adapter"] = _count(lambda: _predict(unet, noisy))
        vae: Any = parts["vae"]
        found["vae"] = _count(lambda: vae.encode(pixels))
        found["text"] = sum(
            _count(partial(parts[name], tokens)) for name in ("text_encoder", "text_encoder_2")
        )
    found["learning"] = _count(lambda: torch.autograd.backward(_predict(unet, noisy).sum()))
    return found


def per_example(units: dict[str, int]) -> dict[str, int]:
    """Operations for one training example: a pair of images for DPO, an image for CPO."""
    dpo = 2 * units["base"] + 2 * units["learning"]
    return {
        "baseline": dpo + 2 * units["vae"] + units["text"],
        "cold": 4 * units["adapter"] + units["base"] + units["learning"],
        "filled": units["learning"],
        "dpo": dpo,
    }


def _predict(unet: nn.Module, noisy: Tensor) -> Tensor:
    called: Any = unet
    with torch.device("meta"):
        hidden, pooled = torch.empty(1, WINDOW, 2048), torch.empty(1, 1280)
        added = {"text_embeds": pooled, "time_ids": torch.empty(1, 6)}
        t = torch.empty(1)
    predicted: Tensor = called(noisy, t, hidden, added_cond_kwargs=added).sample
    return predicted


def _count(work: Any) -> int:
    with flop_counter() as counter:
        work()
    return int(counter.get_total_flops())

"""What a measurement of training needs: a model, an expert, labelled images and pairs, all made here.

The full SDXL has the published architecture (stabilityai/stable-diffusion-xl-base-1.0) and random weights:
speed and memory do not depend on what they are.
"""

import hashlib
import io
import json
import math
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from method.manifests import hash_manifest
from method.training.config import Lora
from taxonomy.prompt import SEPARATOR, TEMPLATE_ID, conditions
from worker.training.adapters import adapter_metadata, adapter_weights, attach_theta
from worker.training.backbones.adapter_files import write_adapter
from worker.training.backbones.sdxl import SDXL
from worker.training.tiny_model import BETAS, make_tiny_sdxl
from worker.training.tiny_vocabulary import END, START, clip_tokenizer, learn_vocabulary

UNET: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
VAE: dict[str, Any] = {
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "block_out_channels": (128, 256, 512, 512),
    "layers_per_block": 2,
    "latent_channels": 4,
    "sample_size": 1024,
    "scaling_factor": 0.13025,
}
CLIP_L: dict[str, Any] = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "projection_dim": 768,
    "hidden_act": "quick_gelu",
}
CLIP_BIGG: dict[str, Any] = {
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "projection_dim": 1280,
    "hidden_act": "gelu",
}
CLIP_TOKENS = 49408

RANK = 16
GOOD = (
    *("Visible brushwork", "Rich saturation", "Visual balance", "Clear edges", "Warm light"),
    *("Atmospheric depth", "Distinct shapes", "Limited palette"),
)
BAD = (
    *("Monotonous strokes", "Dull color", "Crowded composition", "Blurred edges", "Flat light"),
    *("Confused perspective", "Repetitive shapes", "Muddy palette"),
)


def make_model(folder: Path, *, is_full: bool) -> Path:
    """The model's folder: SDXL in full (7 GB) or the tiny one; an existing one is taken as it is."""
    if not folder.exists():
        if is_full:
            _make_full_sdxl(folder)
        else:
            make_tiny_sdxl(folder, fit=False)
    return folder


def make_expert(folder: Path, model: Path) -> Path:
    """A random adapter for the model, as stage 1 would leave it; an existing one is taken as it is."""
    if folder.exists():
        return folder
    # Without memory for the weights: only the adapter's names and shapes are wanted.
    with torch.device("meta"):
        network = unet_of(json.loads((model / "unet" / "config.json").read_text()))
        attach_theta(network, Lora(rank=RANK), SDXL.lora_targets, seed=0)
    generator = torch.Generator().manual_seed(0)
    weights = {
        name: 0.01 * torch.randn(tensor.shape, generator=generator)
        for name, tensor in adapter_weights(network, "theta").items()
    }
    metadata = adapter_metadata(network, "theta")
    with whole_or_not_at_all(folder) as unfinished:
        write_adapter(unfinished, StableDiffusionXLPipeline, "unet", weights, metadata)
    return folder


def unet_of(config: dict[str, Any]) -> nn.Module:
    """A UNet as its config describes it."""
    kind: Any = UNet2DConditionModel
    network: nn.Module = kind.from_config(config)
    return network


def full_parts() -> dict[str, nn.Module]:
    """SDXL's networks in full, without memory for their weights."""
    unet: Any = UNet2DConditionModel
    vae: Any = AutoencoderKL
    with torch.device("meta"):
        return {
            "unet": unet(**UNET),
            "vae": vae(**VAE),
            "text_encoder": CLIPTextModel(_text_config(CLIP_L)),
            "text_encoder_2": CLIPTextModelWithProjection(_text_config(CLIP_BIGG)),
        }


def write_dataset(folder: Path, count: int, side: int) -> Path:
    """A dataset of `count` square training images, each with good and bad attributes."""
    if folder.exists():
        return folder
    good, bad = list(combinations(GOOD, 3)), list(combinations(BAD, 3))
    rows: list[dict[str, Any]] = []
    with whole_or_not_at_all(folder) as unfinished:
        for index in range(count):
            positive, negative = list(good[index % len(good)]), list(bad[-1 - index % len(bad)])
            prompt = f"painting of a house by the sea, number {index}"
            name = _write_picture(unfinished / "train", index, side)
            rows.append(
                {
                    "file_name": name,
                    "image_id": f"image-{index}",
                    "sha256": name.partition(".")[0],
                    "prompt": prompt,
                    "positive": positive,
                    "negative": negative,
                    "text": conditions(prompt, positive, negative).all,
                }
            )
        write_lines(unfinished / "train" / "examples.jsonl", rows)
        seal(
            unfinished,
            {
                "format": "morelli-dataset/1",
                "criteria": {"name": "bench", "number": 1, "sha256": "0" * 64},
                "template": TEMPLATE_ID,
                "separator": SEPARATOR,
            },
        )
    return folder


def write_pairs(folder: Path, count: int, side: int) -> Path:
    """A pair dataset of `count` training pairs, no picture in two of them."""
    if folder.exists():
        return folder
    rows: list[dict[str, Any]] = []
    with whole_or_not_at_all(folder) as unfinished:
        for index in range(count):
            numbers = {"winner": 2 * index, "loser": 2 * index + 1}
            sides = {
                name: _write_picture(unfinished / "images", number, side)
                for name, number in numbers.items()
            }
            ids = {f"{name}_id": f"image-{number}" for name, number in numbers.items()}
            prompt = f"painting of a house by the sea, number {index}"
            names = {"pair_id": f"pair-{index}", "prompt": prompt, "reason": "drawn for measuring"}
            rows.append({**names, **sides, **ids})
        write_lines(unfinished / "train" / "pairs.jsonl", rows)
        seal(unfinished, {"format": "morelli-pairs/1", "source": "import", "made_from": {}})
    return folder


def _make_full_sdxl(folder: Path) -> None:
    learned = learn_vocabulary()
    parts = {name: _with_random_weights(part) for name, part in full_parts().items()}
    pipeline: Any = StableDiffusionXLPipeline
    scheduler: Any = EulerDiscreteScheduler
    whole = pipeline(
        **parts,
        tokenizer=clip_tokenizer(learned, pad=END),
        tokenizer_2=clip_tokenizer(learned, pad="!"),
        scheduler=scheduler(**BETAS, timestep_spacing="leading", steps_offset=1),
        add_watermarker=False,
    )
    with whole_or_not_at_all(folder) as unfinished:
        whole.save_pretrained(unfinished, safe_serialization=True)


def _text_config(sizes: dict[str, Any]) -> CLIPTextConfig:
    vocabulary, _ = learn_vocabulary()
    return CLIPTextConfig(
        vocab_size=CLIP_TOKENS,
        max_position_embeddings=77,
        bos_token_id=vocabulary[START],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END],
        **sizes,
    )


@torch.no_grad()
def _with_random_weights(network: nn.Module) -> nn.Module:
    """Half precision, as the published files; scaled by fan-in, so that nothing overflows."""
    network = network.to(torch.float16).to_empty(device="cpu")
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        is_norm = isinstance(module, nn.GroupNorm | nn.LayerNorm)
        for name, parameter in module.named_parameters(recurse=False):
            if parameter.dim() > 1:
                bound = 1 / math.sqrt(parameter[0].numel())
                parameter.uniform_(-bound, bound, generator=generator)
            else:
                parameter.fill_(1.0 if is_norm and name == "weight" else 0.0)
    return network


def _write_picture(folder: Path, number: int, side: int) -> str:
    """Waves of a colour, under the name that their hash gives."""
    rng = np.random.default_rng(number)
    line = np.linspace(0, 1, side)
    wave = np.sin(line[:, None] * rng.uniform(2, 40) + line[None, :] * rng.uniform(2, 40))
    pixels = ((wave[..., None] + 1) / 2 * rng.uniform(0.2, 1, 3) * 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG", compress_level=1)
    name = f"{hashlib.sha256(out.getvalue()).hexdigest()}.png"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(out.getvalue())
    return name


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write one JSON object a line."""
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def seal(folder: Path, values: dict[str, Any]) -> None:
    """Write the manifest of whatever the folder now holds."""
    files = [
        {
            "path": path.relative_to(folder).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    manifest = {"name": "bench", "counts": {}, "files": files, **values}
    manifest["sha256"] = hash_manifest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


@contextmanager
def whole_or_not_at_all(folder: Path) -> Iterator[Path]:
    """A folder to fill, which gets its name at the end."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        yield unfinished
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise

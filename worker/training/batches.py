"""Which images a step sees, and those images as tensors ready for the model.

Shape letters: B batch, C channels, H and W latent height and width.
"""

import hashlib
import logging
import math
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from worker.training.backbones import Backbone, Chunk, ChunkEncoding, Text, join_chunks
from worker.training.config import Optimization
from worker.training.examples import Example, read_picture
from worker.training.noise import add_noise, draw_order, draw_timestep_and_noise

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Plan:
    """Which images each step sees: a function of the seed and the step, so nothing needs saving."""

    num_images: int
    seed: int
    batch_size: int
    accumulation: int
    total_steps: int

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one pass over the images; the last may be short."""
        return math.ceil(self.num_images / (self.batch_size * self.accumulation))

    def epoch_of(self, step: int) -> int:
        """The epoch (from 0) of a step (from 1)."""
        return (step - 1) // self.steps_per_epoch

    def batches(self, step: int) -> list[list[int]]:
        """The indices of the images of each pass of a step (from 1)."""
        order = draw_order(self.seed, self.epoch_of(step), self.num_images)
        per_step = self.batch_size * self.accumulation
        start = (step - 1) % self.steps_per_epoch * per_step
        chosen = order[start : start + per_step]
        return [chosen[i : i + self.batch_size] for i in range(0, len(chosen), self.batch_size)]


def make_plan(num_images: int, seed: int, optimization: Optimization) -> Plan:
    """Work out how many steps the config asks for."""
    plan = Plan(num_images, seed, optimization.batch_size, optimization.gradient_accumulation, 0)
    total = optimization.max_steps or optimization.epochs * plan.steps_per_epoch
    return Plan(num_images, seed, plan.batch_size, plan.accumulation, total)


@dataclass(frozen=True, slots=True)
class Batch:
    """Noised images, everything a step needs but the texts."""

    epoch: int
    examples: tuple[Example, ...]
    noisy_BCHW: Tensor
    noise_BCHW: Tensor
    t_B: Tensor
    size_ids_B6: Tensor


class Encodings:
    """Latents and text embeddings, each computed once.

    They are kept in memory, or in a folder that runs may share, under the hash of everything they
    depend on: never under a position in some order.
    """

    def __init__(self, backbone: Backbone, resolution: int, cache_folder: Path | None) -> None:
        """Without a folder everything stays in memory."""
        self.backbone = backbone
        self.resolution = resolution
        self.folder = cache_folder
        self.fingerprint = backbone.fingerprint() if cache_folder else ""
        self.memory: dict[str, dict[str, Tensor]] = {}
        self.chunks: dict[str, tuple[Chunk, ...]] = {}

    def latent(self, example: Example) -> tuple[Tensor, Tensor]:
        """The image's latent (C, H, W) and its six size ids."""
        found = self._get(
            f"latent {self.resolution} {example.sha256}",
            lambda: self._encode_image(example),
        )
        return found["latent"], found["size_ids"]

    def text(self, prompts: Sequence[str]) -> Text:
        """A batch of prompts, filled up to the same number of windows."""
        return join_chunks(
            [[self._chunk(chunk) for chunk in self.split(prompt)] for prompt in prompts],
            self._chunk(self.split("")[0]),
        )

    def split(self, prompt: str) -> tuple[Chunk, ...]:
        """The prompt's windows."""
        if prompt not in self.chunks:
            self.chunks[prompt] = self.backbone.split_prompt(prompt)
        return self.chunks[prompt]

    def _chunk(self, chunk: Chunk) -> ChunkEncoding:
        found = self._get(f"text {chunk}", lambda: self._encode_chunk(chunk))
        return ChunkEncoding(found["hidden"], found["pooled"])

    def _encode_image(self, example: Example) -> dict[str, Tensor]:
        picture = read_picture(example, self.resolution)
        latent = self.backbone.encode_image(picture.pixels_CHW)
        return {
            "latent": latent,
            "size_ids": torch.tensor(picture.size_ids, dtype=torch.float32),
        }

    def _encode_chunk(self, chunk: Chunk) -> dict[str, Tensor]:
        encoded = self.backbone.encode_chunk(chunk)
        return {"hidden": encoded.hidden_ND, "pooled": encoded.pooled_D}

    def _get(self, name: str, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        if self.folder is None:
            if name not in self.memory:
                self.memory[name] = compute()
            return self.memory[name]
        key = hashlib.sha256(f"{self.fingerprint}\n{name}".encode()).hexdigest()
        path = self.folder / key[:2] / f"{key}.safetensors"
        try:
            return load_file(path)
        except FileNotFoundError:
            pass
        except (SafetensorError, OSError) as error:
            log.warning("Cache file %s is broken and made anew: %s", path, error)
        found = compute()
        _write_whole(path, found)
        return found


def load_batch(encodings: Encodings, examples: Sequence[Example], seed: int, epoch: int) -> Batch:
    """Noise each image with the timestep and noise that belong to it in this epoch."""
    alphas_cumprod_T = encodings.backbone.alphas_cumprod_T
    latents, size_ids = zip(*map(encodings.latent, examples), strict=True)
    drawn = [
        draw_timestep_and_noise(
            seed,
            epoch,
            example.image_id,
            shape=tuple(latents[0].shape),
            num_timesteps=len(alphas_cumprod_T),
        )
        for example in examples
    ]
    t_B = torch.tensor([t for t, _ in drawn])
    noise_BCHW = torch.stack([noise for _, noise in drawn])
    return Batch(
        epoch=epoch,
        examples=tuple(examples),
        noisy_BCHW=add_noise(torch.stack(latents), noise_BCHW, t_B, alphas_cumprod_T),
        noise_BCHW=noise_BCHW,
        t_B=t_B,
        size_ids_B6=torch.stack(size_ids),
    )


def _write_whole(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write under another name first: runs that share the folder never read half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, unfinished = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
    os.close(handle)
    save_file(tensors, unfinished)
    os.replace(unfinished, path)

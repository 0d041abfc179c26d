"""Stage 1 against diffusers' own script for SDXL adapters: ten steps from the same start on the same data.

The script is examples/text_to_image/train_text_to_image_lora_sdxl.py of diffusers (read at commit
23cf7123; it is not part of the installed package). Its loop is restated here with diffusers', peft's and
torch's public classes and the script's options, most at their defaults: an adapter on the attention
layers with alpha = rank, DDPM noising, both text encoders' last but one layer, time ids of original
size, crop and target size, mean squared error against the noise, AdamW with betas 0.9 and 0.999 and eps
1e-8, a constant learning rate, gradients clipped to a norm. Two things are ours: every timestep and
noise, which the script draws from one global generator, and the latent, which is the mean of the
encoder's distribution.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler, StableDiffusionXLPipeline
from diffusers.training_utils import compute_snr
from peft import LoraConfig, get_peft_model_state_dict, set_peft_model_state_dict
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from method.training.config import Config, Lora, Objective, Optimization
from method.training.recipes import tiny_sft
from tests.worker.training.datasets import write_dataset
from worker.training.losses import sft_loss
from worker.training.metrics import read_lines
from worker.training.noise import generator_for
from worker.training.run import run

STEPS = 10
RANK = 4
SIDE = 64
LEARNING_RATE = 1e-4
WEIGHT_DECAY = 0.1
MAX_GRAD_NORM = 0.03
"""The script's own defaults, 0.01 and 1, would leave no trace in ten steps of this model: without the
decay or the clipping its weights would still be within 1e-5."""
WEIGHTS = "adapter/pytorch_lora_weights.safetensors"


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four pictures that need neither scaling nor cropping."""
    folder = tmp_path_factory.mktemp("dataset") / "squares"
    return write_dataset(folder, 4, without_negative=0, shapes=((SIDE, SIDE),))


@pytest.fixture
def config(tmp_path: Path, tiny_model: Path, squares: Path) -> Config:
    """All four pictures in each step, in two passes: so an epoch's order does not matter."""
    return replace(
        tiny_sft(str(tmp_path / "run"), str(squares), str(tiny_model)),
        objective=Objective(kind="sft", drop_all=0, drop_to_neg=0),
        lora=Lora(rank=RANK),
        optimization=Optimization(
            max_steps=STEPS,
            batch_size=2,
            gradient_accumulation=2,
            learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            max_grad_norm=MAX_GRAD_NORM,
        ),
        seed=11,
    )


@dataclass(frozen=True)
class Painting:
    """One picture of the dataset as the script's loader gives it."""

    image_id: str
    caption: str
    latent: Tensor
    """(C, H, W)"""


class Script:
    """The script's models and its training step."""

    def __init__(self, model: Path, start: dict[str, Tensor]) -> None:
        # diffusers' classes are invisible to a type checker, hence Any.
        pipeline: Any = StableDiffusionXLPipeline.from_pretrained(model, add_watermarker=False)
        self.pipeline, self.unet = pipeline, pipeline.unet
        for part in (self.unet, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2):
            part.requires_grad_(False)
        self.scheduler: Any = DDPMScheduler.from_pretrained(model, subfolder="scheduler")
        self.unet.add_adapter(
            LoraConfig(
                r=RANK,
                lora_alpha=RANK,
                init_lora_weights="gaussian",
                target_modules=["to_k", "to_q", "to_v", "to_out.0"],
            )
        )
        set_peft_model_state_dict(self.unet, start)
        self.unet.train()
        self.learnable = [p for p in self.unet.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            self.learnable,
            lr=LEARNING_RATE,
            betas=(0.9, 0.999),
            weight_decay=WEIGHT_DECAY,
            eps=1e-8,
        )

    def read(self, dataset: Path) -> list[Painting]:
        lines = (dataset / "train/examples.jsonl").read_text().splitlines()
        return [self._read_row(dataset / "train", json.loads(line)) for line in lines]

    def _read_row(self, folder: Path, row: dict[str, Any]) -> Painting:
        pixels_HWC = np.asarray(Image.open(folder / row["file_name"]).convert("RGB"))
        # ToTensor, then Normalize([0.5], [0.5]).
        pixels_CHW = (torch.from_numpy(pixels_HWC.copy()).permute(2, 0, 1) / 255 - 0.5) / 0.5
        vae = self.pipeline.vae
        with torch.no_grad():
            latent_CHW = vae.encode(pixels_CHW[None]).latent_dist.mode()[0]
        return Painting(row["image_id"], row["text"], latent_CHW * vae.config.scaling_factor)

    @torch.no_grad()
    def encode(self, captions: list[str]) -> tuple[Tensor, Tensor]:
        hidden = []
        pooled = torch.empty(0)
        for tokenizer, encoder in (
            (self.pipeline.tokenizer, self.pipeline.text_encoder),
            (self.pipeline.tokenizer_2, self.pipeline.text_encoder_2),
        ):
            ids = tokenizer(
                captions,
                padding="max_length",
                max_length=tokenizer.model_max_length,
                truncation=True,
                return_tensors="pt",
            ).input_ids
            output = encoder(ids, output_hidden_states=True, return_dict=False)
            pooled = output[0]
            hidden.append(output[-1][-2])
        return torch.cat(hidden, dim=-1), pooled

    def step(
        self,
        batches: list[list[Painting]],
        epoch: int,
        seed: int,
        gamma: float | None,
        offset: float,
    ) -> tuple[float, float]:
        """One optimizer step; the loss and the gradient's norm before clipping."""
        total = 0.0
        for paintings in batches:
            loss = self._loss(paintings, epoch, seed, gamma, offset)
            total += loss.item() / len(batches)
            (loss / len(batches)).backward()
        length = torch.nn.utils.clip_grad_norm_(self.learnable, MAX_GRAD_NORM)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return total, length.item()

    def _loss(
        self, paintings: list[Painting], epoch: int, seed: int, gamma: float | None, offset: float
    ) -> Tensor:
        latents = torch.stack([painting.latent for painting in paintings])
        drawn = [self._draw(painting, epoch, seed, offset) for painting in paintings]
        timesteps = torch.stack([t for t, _ in drawn])
        noise = torch.stack([n for _, n in drawn])
        hidden, pooled = self.encode([painting.caption for painting in paintings])
        time_ids = torch.tensor([[SIDE, SIDE, 0, 0, SIDE, SIDE]] * len(paintings)).float()
        predicted = self.unet(
            self.scheduler.add_noise(latents, noise, timesteps),
            timesteps,
            hidden,
            added_cond_kwargs={"time_ids": time_ids, "text_embeds": pooled},
            return_dict=False,
        )[0]
        if gamma is None:
            return functional.mse_loss(predicted.float(), noise.float())
        errors = functional.mse_loss(predicted.float(), noise.float(), reduction="none")
        return (errors.mean(dim=[1, 2, 3]) * min_snr(self.scheduler, timesteps, gamma)).mean()

    def _draw(
        self, painting: Painting, epoch: int, seed: int, offset: float
    ) -> tuple[Tensor, Tensor]:
        generator = generator_for(seed, epoch, painting.image_id, "noise")
        steps = self.scheduler.config.num_train_timesteps
        timestep = torch.randint(steps, (), generator=generator)
        noise = torch.randn(painting.latent.shape, generator=generator)
        if offset:
            per_channel = torch.randn((len(noise), 1, 1), generator=generator)
            noise = noise + offset * per_channel
        return timestep, noise


def min_snr(scheduler: Any, timesteps: Tensor, gamma: float) -> Tensor:
    """The script's weight of a timestep for a model that predicts noise: min(snr, gamma) / snr."""
    snr: Tensor = compute_snr(scheduler, timesteps)
    return torch.minimum(snr, torch.full_like(snr, gamma)) / snr


def first_weights(config: Config) -> dict[str, Tensor]:
    """The adapter that a run starts from: what is left of it when it hardly learns."""
    still = replace(
        config,
        run_folder=f"{config.run_folder}-start",
        optimization=replace(config.optimization, max_steps=1, learning_rate=1e-30),
    )
    run(still)
    return adapter(Path(still.run_folder))


def adapter(folder: Path) -> dict[str, Tensor]:
    weights = load_file(folder / WEIGHTS)
    return {name.removeprefix("unet."): weight for name, weight in weights.items()}


def follow(config: Config, *, gamma: float | None = None, offset: float = 0.0) -> None:
    """Train as the config says, and as the script does; losses and weights must be equal."""
    start = first_weights(config)
    script = Script(Path(config.model.path), start)
    paintings = script.read(Path(str(config.dataset_folder)))
    run(config)
    rows = read_lines(Path(config.run_folder) / "metrics.jsonl")
    expected = [
        script.step([paintings[:2], paintings[2:]], epoch, config.seed, gamma, offset)
        for epoch in range(STEPS)
    ]
    losses, lengths = map(list, zip(*expected, strict=True))
    assert [row["loss"] for row in rows] == pytest.approx(losses, rel=0, abs=1e-5)
    assert [row["grad_norm"] for row in rows] == pytest.approx(lengths, rel=1e-3)
    assert min(lengths) < MAX_GRAD_NORM < max(lengths), "clipping takes no part"
    found, theirs = adapter(Path(config.run_folder)), get_peft_model_state_dict(script.unet)
    assert found.keys() == theirs.keys() == start.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=1e-5)
    moved = max((found[name] - start[name]).abs().max().item() for name in found)
    assert moved > 5e-4, "the weights hardly moved, so equal weights say nothing"


def test_ten_steps_equal_the_script(config: Config) -> None:
    follow(config)


def test_ten_steps_with_min_snr_equal_the_script(config: Config) -> None:
    objective = replace(config.objective, time_weight="min_snr", snr_gamma=5.0)
    follow(replace(config, objective=objective), gamma=5.0)


def test_ten_steps_with_noise_offset_equal_the_script(config: Config) -> None:
    follow(replace(config, noise=replace(config.noise, offset=0.1)), offset=0.1)


def test_weighted_loss_equals_the_scripts(tiny_model: Path) -> None:
    """On the same tensors: mean squared errors, each times its min-SNR weight, then their mean."""
    scheduler: Any = DDPMScheduler.from_pretrained(tiny_model, subfolder="scheduler")
    torch.manual_seed(0)
    timesteps = torch.tensor([0, 30, 400, 999])
    weights = min_snr(scheduler, timesteps, 5.0)
    assert weights[0] < weights[1] < weights[2] == 1, "the bound must matter to some and not to all"
    predicted, noise = torch.randn(2, 4, 4, 8, 8)
    predicted.requires_grad_()
    errors = functional.mse_loss(predicted, noise, reduction="none").mean(dim=[1, 2, 3])
    expected = (errors * weights).mean()
    found = sft_loss(predicted, noise, weights).mean()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    ours, theirs = (torch.autograd.grad(x, predicted)[0] for x in (found, expected))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-6)

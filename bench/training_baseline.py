"""The plain baseline: Diffusion-DPO with an adapter on SDXL, as diffusers' research script loops.

Restated after examples/research_projects/diffusion_dpo/train_diffusion_dpo_sdxl.py: every step reads the
pictures, encodes both with the VAE in float32 and the prompt with both text encoders, predicts with the
trained network and with a copy of the pretrained one that stays in memory, and waits for the loss to log
it. Nothing is cached. Pictures and manifests are read with this project's functions, so that reading is
no difference.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import DDPMScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
from peft import LoraConfig
from torch import Tensor
from torch.nn.functional import logsigmoid, mse_loss
from torch.utils.data import DataLoader

from bench.training_counting import Watch
from method.pair_folder import Pair, read_pairs
from worker.training.backbones.sdxl import SDXL
from worker.training.examples import read_picture

BETA = 5000.0
VAE_BATCH = 8
"""Pictures in one pass of the VAE, the script's default."""
# Their types are none that a checker could read.
PIPELINE: Any = StableDiffusionXLPipeline
UNET: Any = UNet2DConditionModel
SCHEDULER: Any = DDPMScheduler


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of the baseline."""

    model: Path
    pairs: Path
    resolution: int
    batch_size: int
    steps: int
    rank: int
    bf16: bool
    gradient_checkpointing: bool


class PlainDpo:
    """The networks and one step of them."""

    def __init__(self, settings: Settings, device: torch.device) -> None:
        """Load everything to the device, the network twice."""
        dtype = torch.bfloat16 if settings.bf16 else torch.float32
        self.device, self.dtype = device, dtype
        pipeline = PIPELINE.from_pretrained(
            settings.model, dtype={"vae": torch.float32, "default": dtype}, use_safetensors=True
        )
        self.theta, self.vae = pipeline.unet, pipeline.vae
        self.reference = UNET.from_pretrained(settings.model, subfolder="unet", torch_dtype=dtype)
        self.tokenizers = (pipeline.tokenizer, pipeline.tokenizer_2)
        self.text_encoders = (pipeline.text_encoder, pipeline.text_encoder_2)
        for part in (self.theta, self.reference, self.vae, *self.text_encoders):
            part.requires_grad_(False).to(device)
        self.scheduler = SCHEDULER.from_config(pipeline.scheduler.config)
        self.theta.add_adapter(
            LoraConfig(
                r=settings.rank,
                lora_alpha=settings.rank,
                init_lora_weights="gaussian",
                target_modules=list(SDXL.lora_targets),
            )
        )
        self.weights = [each for each in self.theta.parameters() if each.requires_grad]
        for each in self.weights:
            each.data = each.data.float()
        if settings.gradient_checkpointing:
            self.theta.enable_gradient_checkpointing()
        self.theta.train()
        self.optimizer = torch.optim.AdamW(self.weights, lr=1e-5, weight_decay=1e-2)

    def step(self, pixels: Tensor, size_ids: Tensor, prompts: list[str]) -> dict[str, float]:
        """Winners first in `pixels` (2B, 3, H, W), then losers; returns what the script logs."""
        latents = self._encode_images(pixels).to(self.dtype)
        noise = torch.randn_like(latents).chunk(2)[0].repeat(2, 1, 1, 1)
        pairs = len(prompts)
        t = torch.randint(0, len(self.scheduler.alphas_cumprod), (pairs,), device=self.device)
        t = t.repeat(2)
        noisy = self.scheduler.add_noise(latents, noise, t)
        hidden, pooled = self._encode_prompts(prompts)
        added = {
            "time_ids": size_ids.to(self.device, self.dtype),
            "text_embeds": pooled.repeat(2, 1),
        }
        given = (noisy, t, hidden.repeat(2, 1, 1), added)
        errors = self._errors(self.theta, noise, *given)
        with torch.no_grad():
            reference_errors = self._errors(self.reference, noise, *given)
        inside = -0.5 * BETA * (_gap(errors) - _gap(reference_errors))
        loss = -logsigmoid(inside).mean()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        return {
            "loss": loss.item(),
            "raw_model_loss": errors.mean().item(),
            "ref_loss": reference_errors.mean().item(),
            "implicit_acc": (inside > 0).float().mean().item(),
        }

    def _encode_images(self, pixels: Tensor) -> Tensor:
        with torch.no_grad():
            found = [
                self.vae.encode(some.to(self.device)).latent_dist.sample()
                for some in torch.split(pixels, VAE_BATCH)
            ]
        return torch.cat(found) * float(self.vae.config.scaling_factor)

    @torch.no_grad()
    def _encode_prompts(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        hidden, pooled = [], torch.empty(0)
        for tokenizer, encoder in zip(self.tokenizers, self.text_encoders, strict=True):
            tokens = tokenizer(
                prompts, truncation=True, padding="max_length", return_tensors="pt"
            ).input_ids
            output = encoder(tokens.to(self.device), output_hidden_states=True)
            hidden.append(output.hidden_states[-2])
            pooled = output[0]
        return torch.cat(hidden, -1), pooled

    def _errors(
        self, network: Any, noise: Tensor, noisy: Tensor, t: Tensor, hidden: Tensor, added: Any
    ) -> Tensor:
        """Mean squared errors, (2B,)."""
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            predicted = network(noisy, t, hidden, added_cond_kwargs=added).sample
        return mse_loss(predicted.float(), noise.float(), reduction="none").flatten(1).mean(1)


def run_plain_dpo(settings: Settings, device: torch.device, watch: Watch) -> list[float]:
    """Train, and return the time at the start and after each step: the loss was waited for by then."""
    torch.manual_seed(0)
    plain = PlainDpo(settings, device)
    times = [time.monotonic()]
    for _, (pixels, size_ids, prompts) in zip(
        range(settings.steps), _batches(settings), strict=False
    ):
        plain.step(pixels, size_ids, prompts)
        times.append(time.monotonic())
        watch()
    return times


def _batches(settings: Settings) -> Iterator[tuple[Tensor, Tensor, list[str]]]:
    def put_together(pairs: list[Pair]) -> tuple[Tensor, Tensor, list[str]]:
        size = (settings.resolution, settings.resolution)
        sides = [pair.winner for pair in pairs] + [pair.loser for pair in pairs]
        read = [read_picture(side.path, side.sha256, size) for side in sides]
        return (
            torch.stack([each.pixels_CHW for each in read]),
            torch.tensor([each.size_ids for each in read]),
            [pair.prompt for pair in pairs],
        )

    # No workers: the script's default.
    loader: DataLoader[Any] = DataLoader(
        read_pairs(settings.pairs, "train").pairs,  # type: ignore[arg-type]  # a tuple is enough
        batch_size=settings.batch_size,
        shuffle=True,
        collate_fn=put_together,
    )
    yield from loader


def _gap(errors: Tensor) -> Tensor:
    winners, losers = errors.chunk(2)
    return winners - losers

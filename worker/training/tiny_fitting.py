"""Fitting a tiny model for a few seconds on pictures drawn here, so that its samples look like pictures."""

import logging
import math
import time
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from worker.training.backbones import Backbone, Text, join_chunks
from worker.training.noise import Diffusion

log = logging.getLogger(__name__)

RESOLUTION = 64


def fit_model(backbone: Backbone, vae: Any, seed: int) -> None:
    """Fit a tiny model's autoencoder, then its network; needs no more than the CPU."""
    generator = torch.Generator().manual_seed(seed)
    pictures, prompts = draw_pictures(512, generator)
    started = time.monotonic()
    error = _fit_vae(vae, pictures, generator)
    log.info(
        "1 of 2 parts fitted: the autoencoder, error %.4f, %.0f s",
        error,
        time.monotonic() - started,
    )
    error = _fit_network(backbone, vae, pictures, prompts, generator)
    log.info(
        "2 of 2 parts fitted: the network, error %.4f, %.0f s", error, time.monotonic() - started
    )


def draw_pictures(count: int, generator: torch.Generator) -> tuple[Tensor, list[str]]:
    """Draw `count` pictures, (count, 3, 64, 64) in [-1, 1], each with a prompt that describes it."""
    drawn = [_draw_picture(generator) for _ in range(count)]
    return torch.stack([picture for picture, _ in drawn]), [prompt for _, prompt in drawn]


PALETTES = {
    "warm": ((0.85, 0.35, 0.1), (0.95, 0.75, 0.3), (0.5, 0.1, 0.1)),
    "cool": ((0.1, 0.3, 0.7), (0.4, 0.75, 0.85), (0.1, 0.15, 0.35)),
    "green": ((0.2, 0.5, 0.2), (0.7, 0.8, 0.4), (0.1, 0.25, 0.15)),
    "grey": ((0.25, 0.25, 0.28), (0.8, 0.8, 0.78), (0.5, 0.5, 0.5)),
}
KINDS = ("gradient", "blobs", "bands", "stripes")


def _draw_picture(generator: torch.Generator) -> tuple[Tensor, str]:
    palette = _pick(tuple(PALETTES), generator)
    kind = _pick(KINDS, generator)
    shade = 0.15 * torch.randn(3, 3, 1, 1, generator=generator)
    dark, light, accent = torch.tensor(PALETTES[palette]).view(3, 3, 1, 1) + shade
    angle, phase, size = torch.rand(3, generator=generator).tolist()
    side = torch.linspace(-1, 1, RESOLUTION)
    y, x = torch.meshgrid(side, side, indexing="ij")
    along = x * math.cos(2 * math.pi * angle) + y * math.sin(2 * math.pi * angle)
    match kind:
        case "gradient":
            mask = (along + 1) / 2
        case "blobs":
            mask = torch.zeros_like(x)
            for cx, cy, r in torch.rand(3, 3, generator=generator).tolist():
                distance = (x - 1.6 * cx + 0.8) ** 2 + (y - 1.6 * cy + 0.8) ** 2
                mask = mask + torch.exp(-distance / (0.03 + 0.12 * r))
        case "bands":
            mask = torch.sigmoid((along - phase + 0.5) * 12)
        case _:
            mask = 0.5 + 0.5 * torch.sin(along * (5 + 9 * size) + 6 * phase)
    mask = mask.clamp(0, 1)
    picture = dark * (1 - mask) + light * mask
    ground = torch.sigmoid((y - 0.4 - 0.4 * phase) * 10)
    if size > 0.5:
        picture = picture * (1 - ground) + accent * ground
    return (picture.clamp(0, 1) * 2 - 1), f"{kind}, {palette} color"


def _pick(choices: tuple[str, ...], generator: torch.Generator) -> str:
    return choices[int(torch.randint(len(choices), (), generator=generator))]


def _fit_vae(vae: Any, pictures: Tensor, generator: torch.Generator, steps: int = 600) -> float:
    """Fit to reconstruct random quarters; set the scaling (and shift) that gives latents unit variance."""
    optimizer = torch.optim.Adam(vae.requires_grad_().parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 4e-3, total_steps=steps, pct_start=0.1
    )
    side = RESOLUTION // 2
    error = torch.zeros(())
    for _ in range(steps):
        top, left = torch.randint(RESOLUTION - side + 1, (2,), generator=generator).tolist()
        picked = pictures[torch.randint(len(pictures), (4,), generator=generator)]
        batch = picked[:, :, top : top + side, left : left + side]
        posterior = vae.encode(batch).latent_dist
        error = mse_loss(vae.decode(posterior.mode()).sample, batch)
        # A light pull toward a standard normal keeps the latents where diffusion can reach them.
        (error + 1e-5 * posterior.kl().mean() / posterior.mean[0].numel()).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    with torch.no_grad():
        latents = vae.encode(pictures[:64]).latent_dist.mode()
    vae.register_to_config(scaling_factor=round(1 / float(latents.std()), 5))
    if vae.config.shift_factor is not None:
        vae.register_to_config(shift_factor=round(float(latents.mean()), 5))
    return error.item()


def _fit_network(
    backbone: Backbone,
    vae: Any,
    pictures: Tensor,
    prompts: list[str],
    generator: torch.Generator,
    steps: int = 400,
) -> float:
    """Fit to predict the schedule's target, a tenth of the time from the empty prompt."""
    schedule = backbone.schedule
    with torch.no_grad():
        latents = torch.cat([vae.encode(p).latent_dist.mode() for p in pictures.split(64)])
        latents = (latents - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    texts = sorted({*prompts, ""})
    encoded = _encode(backbone, texts)
    chosen = torch.tensor([texts.index(p) for p in prompts])
    sizes = torch.tensor([[RESOLUTION, RESOLUTION, 0, 0, RESOLUTION, RESOLUTION]])
    network = backbone.network.requires_grad_()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    error = torch.zeros(())
    for _ in range(steps):
        picked = torch.randint(len(latents), (8,), generator=generator)
        text = chosen[picked].clone()
        text[torch.rand(8, generator=generator) < 0.1] = texts.index("")
        if isinstance(schedule, Diffusion):
            t = torch.randint(len(schedule.alphas_cumprod_T), (8,), generator=generator)
        else:
            t = torch.rand(8, generator=generator)
        x0, noise = latents[picked], torch.randn(latents[picked].shape, generator=generator)
        predicted = backbone.predict(
            network,
            schedule.noisy(x0, noise, t),
            t,
            Text(encoded.hidden_BND[text], encoded.pooled_BD[text]),
            sizes.expand(8, 6),
        )
        error = mse_loss(predicted, schedule.target(x0, noise, t))
        error.backward()
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
    return error.item()


def _encode(backbone: Backbone, texts: list[str]) -> Text:
    chunks = [backbone.encode_chunks(backbone.split_prompt(text)) for text in texts]
    return join_chunks(chunks, chunks[texts.index("")][0])

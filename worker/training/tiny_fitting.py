"""Fits a tiny model for minutes on paintings made here, so that it paints what prompts and attributes say, roughly."""

import logging
import random
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from worker.training.backbones import Backbone, ChunkEncoding, Text, join_chunks
from worker.training.noise import Diffusion
from worker.training.tiny_autoencoder import fit_autoencoder
from worker.training.tiny_paintings import RESOLUTION, Lesson, say
from worker.training.tiny_words import describe_pictures, set_apart, teach_words

log = logging.getLogger(__name__)

AUTOENCODER_STEPS = 450
NETWORK_STEPS = 900
BATCH = 16
RATE = 3e-3
TEXTS = 3
"""For each painting, drawn before the first step: encoding one takes as long as a painting in a step."""
POOLED = {"sdxl": 1, "flux": 0}
"""Which text encoder's pooled vector a family's network is told."""
LEVEL = 4.0


def fit_model(backbone: Backbone, pipeline: Any, lessons: Sequence[Lesson], seed: int) -> None:
    """Fit a tiny model's autoencoder, then its network; needs no more than the CPU."""
    generator, chance = torch.Generator().manual_seed(seed), random.Random(seed)
    started = time.monotonic()
    pictures = torch.stack([each.pixels_CHW for each in lessons])
    error = fit_autoencoder(pipeline.vae, pictures, generator, AUTOENCODER_STEPS)
    log.info("1 of 2 parts fitted: the autoencoder, error %.4f, %.0f s", error, _since(started))
    latents = _encode_pictures(pipeline.vae, pictures)
    texts = [[say(each, chance) for _ in range(TEXTS)] for each in lessons]
    _teach_encoders(backbone, pipeline, texts, latents)
    # Nothing that is said of a painting tells left from right.
    mirrored = _encode_pictures(pipeline.vae, pictures.flip(-1))
    error = _fit_network(backbone, torch.stack([latents, mirrored]), texts, generator)
    log.info("2 of 2 parts fitted: the network, error %.4f, %.0f s", error, _since(started))


def _since(started: float) -> float:
    return time.monotonic() - started


@torch.no_grad()
def _encode_pictures(vae: Any, pictures_BCHW: Tensor) -> Tensor:
    latents = torch.cat([vae.encode(p).latent_dist.mode() for p in pictures_BCHW.split(64)])
    scaled: Tensor = (latents - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    return scaled


def _teach_encoders(
    backbone: Backbone, pipeline: Any, texts: Sequence[Sequence[str]], latents: Tensor
) -> None:
    if backbone.family not in POOLED:
        return
    place = POOLED[backbone.family]
    pooled = (pipeline.text_encoder, pipeline.text_encoder_2)[place]
    said = [(text, number) for number, row in enumerate(texts) for text in row if text]
    windows = [backbone.split_prompt(text)[0][place] for text, _ in said]
    end = pooled.config.eos_token_id
    looks = describe_pictures(latents, pooled.config.hidden_size - 3)
    teach_words(
        pooled,
        [window[: window.index(end) + 1] for window in windows],
        looks[[number for _, number in said]],
    )
    if backbone.family == "sdxl":
        set_apart(pipeline.text_encoder)
        _keep_level(backbone.network)


@torch.no_grad()
def _keep_level(network: Any) -> None:
    """Give the UNet's last normalisation constants to stand on: else it takes the mean colour out of each prediction."""
    constants = network.up_blocks[-1].resnets[-1].conv2.bias
    constants[0::4] += LEVEL
    constants[1::4] -= LEVEL
    network.conv_norm_out.weight.fill_(LEVEL * 0.5**0.5)


def _fit_network(
    backbone: Backbone,
    latents_2BCHW: Tensor,
    texts: Sequence[Sequence[str]],
    generator: torch.Generator,
) -> float:
    """Fit to predict the schedule's target; returns the mean error of the last tenth of the steps."""
    encoded = _Texts(backbone, texts)
    sizes = torch.tensor([[RESOLUTION, RESOLUTION, 0, 0, RESOLUTION, RESOLUTION]])
    network, schedule = backbone.network.requires_grad_(), backbone.schedule
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=NETWORK_STEPS, pct_start=0.15
    )
    errors = []
    for _ in range(NETWORK_STEPS):
        side = torch.randint(2, (BATCH,), generator=generator)
        picked = torch.randint(len(texts), (BATCH,), generator=generator)
        text = torch.randint(TEXTS, (BATCH,), generator=generator)
        if isinstance(schedule, Diffusion):
            t = torch.randint(len(schedule.alphas_cumprod_T), (BATCH,), generator=generator)
        else:
            t = torch.rand(BATCH, generator=generator)
        x0 = latents_2BCHW[side, picked]
        noise = torch.randn(x0.shape, generator=generator)
        predicted = backbone.predict(
            network,
            schedule.noisy(x0, noise, t),
            t,
            encoded.pick(picked.tolist(), text.tolist()),
            sizes.expand(BATCH, 6),
        )
        error = mse_loss(predicted, schedule.target(x0, noise, t))
        error.backward()
        optimizer.step()
        rate.step()
        optimizer.zero_grad()
        errors.append(error.item())
    last = errors[-max(1, NETWORK_STEPS // 10) :]
    return sum(last) / len(last)


class _Texts:
    """The texts of all paintings, each encoded once."""

    def __init__(self, backbone: Backbone, texts: Sequence[Sequence[str]]) -> None:
        self.backbone, self.texts = backbone, texts
        self.known: dict[str, list[ChunkEncoding]] = {}
        for text in {"", *(each for row in texts for each in row)}:
            self.known[text] = backbone.encode_chunks(backbone.split_prompt(text))

    def pick(self, rows: Sequence[int], places: Sequence[int]) -> Text:
        chosen = [
            self.known[self.texts[row][place]] for row, place in zip(rows, places, strict=True)
        ]
        return join_chunks(chosen, self.known[""][0])

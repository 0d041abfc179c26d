"""Seeded randomness, and the two ways in which models noise a latent.

Every draw comes from a generator of its own, seeded by (run seed, epoch, image id, purpose). So what an
image gets depends neither on the batch it falls into nor on how often the run was interrupted, and two
runs that differ in their objective alone see the same timesteps and noise.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

Sampling = Literal["uniform", "logit_normal"]
TimeWeight = Literal["const", "min_snr", "snr"]


def generator_for(seed: int, epoch: int, image_id: str, purpose: str) -> torch.Generator:
    """Return a CPU generator that depends on the four values and nothing else."""
    text = f"{seed}\n{epoch}\n{image_id}\n{purpose}"
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def draw_share(seed: int, epoch: int, image_id: str, purpose: str) -> float:
    """Draw one number from U[0, 1)."""
    generator = generator_for(seed, epoch, image_id, purpose)
    return float(torch.rand((), generator=generator, dtype=torch.float64))


def draw_order(seed: int, epoch: int, count: int) -> list[int]:
    """Draw the order of an epoch: a permutation of range(count)."""
    return torch.randperm(count, generator=generator_for(seed, epoch, "", "order")).tolist()


class Schedule(Protocol):
    """How a model noises, what it predicts, and what a timestep is."""

    def draw_t(self, generator: torch.Generator, sampling: Sampling) -> float:
        """Draw a timestep as the model takes it."""

    def noisy(self, x0: Tensor, noise: Tensor, t_B: Tensor) -> Tensor:
        """Return x_t, in x0's dtype."""

    def target(self, x0: Tensor, noise: Tensor, t_B: Tensor) -> Tensor:
        """Return what the model should have predicted for x_t."""

    def weight(self, kind: TimeWeight, gamma: float, t_B: Tensor) -> Tensor:
        """Return omega(lambda_t), (B,) float32, a factor on the model's squared errors."""


@dataclass(frozen=True, slots=True)
class Diffusion:
    """DDPM: x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) noise, t whole from 0."""

    alphas_cumprod_T: Tensor
    """The running product of 1 - beta."""
    prediction: Literal["epsilon", "v_prediction"] = "epsilon"

    def draw_t(self, generator: torch.Generator, sampling: Sampling) -> float:
        """Draw t from 0 .. T - 1: evenly, or more often in the middle."""
        if sampling == "uniform":
            return float(torch.randint(len(self.alphas_cumprod_T), (), generator=generator))
        share = torch.sigmoid(torch.randn((), generator=generator, dtype=torch.float64))
        return float((share * len(self.alphas_cumprod_T)).floor())

    def noisy(self, x0: Tensor, noise: Tensor, t_B: Tensor) -> Tensor:
        """Return x_t, in x0's dtype."""
        return add_noise(x0, noise, t_B, self.alphas_cumprod_T)

    def target(self, x0: Tensor, noise: Tensor, t_B: Tensor) -> Tensor:
        """The noise, or v = alpha noise - sigma x0 (Salimans and Ho 2022)."""
        if self.prediction == "epsilon":
            return noise
        alpha_bar = _spread(self._alpha_bar(t_B, x0.device), x0)
        return (alpha_bar.sqrt() * noise - (1 - alpha_bar).sqrt() * x0).to(x0.dtype)

    def weight(self, kind: TimeWeight, gamma: float, t_B: Tensor) -> Tensor:
        """const: 1. snr: lambda_t. min_snr: min(lambda_t, gamma) on errors of x0 (Hang et al. 2023)."""
        alpha_bar = self._alpha_bar(t_B, t_B.device)
        snr = alpha_bar / (1 - alpha_bar)
        if kind == "const":
            return torch.ones_like(snr)
        if kind == "snr":
            return snr
        if self.prediction == "epsilon":
            return (gamma / snr).clamp_max(1)  # also where nothing is left of the image
        return snr.clamp_max(gamma) / (snr + 1)

    def _alpha_bar(self, t_B: Tensor, device: torch.device) -> Tensor:
        return self.alphas_cumprod_T.to(device)[t_B.to(device).long()]


@dataclass(frozen=True, slots=True)
class Flow:
    """Rectified flow: x_t = (1 - t) x0 + t noise, t in (0, 1); the model predicts noise - x0."""

    shift: float = 1.0
    """Above 1: noisier timesteps more often (Esser et al. 2024)."""
    space: Literal["v", "eps", "x0"] = "v"
    """The space in which squared errors weigh the same at every t."""

    def draw_t(self, generator: torch.Generator, sampling: Sampling) -> float:
        """Draw t, evenly or logit-normal, then shift it."""
        if sampling == "uniform":
            share = torch.rand((), generator=generator, dtype=torch.float64)
        else:
            share = torch.sigmoid(torch.randn((), generator=generator, dtype=torch.float64))
        return float(self.shift * share / (1 + (self.shift - 1) * share))

    def noisy(self, x0: Tensor, noise: Tensor, t_B: Tensor) -> Tensor:
        """Return x_t, in x0's dtype."""
        t = _spread(t_B.to(x0.device, torch.float32), x0)
        return ((1 - t) * x0 + t * noise).to(x0.dtype)

    def target(self, x0: Tensor, noise: Tensor, t_B: Tensor) -> Tensor:
        """The velocity noise - x0."""
        del t_B
        return noise - x0

    def weight(self, kind: TimeWeight, gamma: float, t_B: Tensor) -> Tensor:
        """An error of v is one of x0 divided by t, and one of the noise divided by 1 - t."""
        t = t_B.float()
        snr = ((1 - t) / t) ** 2
        if kind == "min_snr":
            return snr.clamp_max(gamma) * t**2
        in_space = {"v": torch.ones_like(t), "eps": (1 - t) ** 2, "x0": t**2}[self.space]
        return in_space if kind == "const" else in_space * snr


def draw_timestep_and_noise(
    seed: int,
    epoch: int,
    image_id: str,
    *,
    shape: tuple[int, ...],
    schedule: Schedule,
    sampling: Sampling = "uniform",
    offset: float = 0.0,
) -> tuple[float, Tensor]:
    """Draw t and standard normal noise of `shape` (float32, CPU).

    With `offset` a draw of its own for each channel is added, weighted by it: it teaches a model to
    change a picture's overall brightness (noise offset, Guttenberg 2023).
    """
    generator = generator_for(seed, epoch, image_id, "noise")
    t = schedule.draw_t(generator, sampling)
    noise = torch.randn(shape, generator=generator)
    if offset:
        noise = noise + offset * torch.randn((shape[0], 1, 1), generator=generator)
    return t, noise


def add_noise(x0: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Return x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) noise (DDPM, Eq. 4), in x0's dtype.

    `t` (B,) indexes `alphas_cumprod` (T,), the running product of 1 - beta.
    """
    alpha_bar = _spread(alphas_cumprod.to(x0.device)[t.to(x0.device).long()], x0)
    return (alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise).to(x0.dtype)


def _spread(per_sample: Tensor, like: Tensor) -> Tensor:
    """Give a (B,) tensor the trailing dimensions of `like`."""
    return per_sample.view(-1, *[1] * (like.dim() - 1))

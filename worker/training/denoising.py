"""Stochastic denoising of diffusion models as functions on tensors (DDIM, arXiv 2010.02502).

diffusers' own scheduler draws its noise itself and keeps state; objectives that learn from single steps need
the distribution of a step, many draws from it, and gradients through it. Arithmetic on scalars is in
float64, on tensors in their own precision.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from worker.training.noise import Diffusion

Spacing = Literal["leading", "trailing", "linspace"]


@dataclass(frozen=True, slots=True)
class Step:
    t: int
    """The timestep it starts from."""
    alpha_bar: float
    """alpha_bar at t."""
    alpha_bar_after: float
    """alpha_bar where it arrives, nearer to 1."""


@dataclass(frozen=True, slots=True)
class Transition:
    """The distribution of what a step arrives at: N(mean, std^2)."""

    mean_BCHW: Tensor
    std: float
    """0 for a step without noise, which has no density."""


def plan_steps(
    schedule: Diffusion, count: int, *, spacing: Spacing, offset: int, ends_clean: bool
) -> tuple[Step, ...]:
    """The steps from noise to picture, noisiest first, at the timesteps that diffusers' DDIM takes.

    `offset` is added to all timesteps with leading spacing. `ends_clean`: the last step arrives at no
    noise at all (set_alpha_to_one), otherwise at timestep 0. A step arrives where the next one starts;
    diffusers does the same where `count` divides the number of timesteps. Raises ValueError for more
    steps than timesteps.
    """
    alphas = schedule.alphas_cumprod_T.double()
    if not 1 <= count <= len(alphas):
        raise ValueError(f"count must be from 1 to {len(alphas)}; got {count}")
    timesteps = _timesteps(len(alphas), count, spacing, offset)
    levels = [float(alphas[t]) for t in timesteps]
    after = [*levels[1:], 1.0 if ends_clean else float(alphas[0])]
    return tuple(
        Step(t, level, arrives) for t, level, arrives in zip(timesteps, levels, after, strict=True)
    )


def estimate_x0(
    schedule: Diffusion, noisy_BCHW: Tensor, predicted_BCHW: Tensor, step: Step
) -> Tensor:
    """The picture's latent as the model sees it in x_t, in one step (Eq. 12 of DDIM)."""
    alpha, sigma = math.sqrt(step.alpha_bar), math.sqrt(1 - step.alpha_bar)
    if schedule.prediction == "epsilon":
        return (noisy_BCHW - sigma * predicted_BCHW) / alpha
    return alpha * noisy_BCHW - sigma * predicted_BCHW


def transition(
    schedule: Diffusion, noisy_BCHW: Tensor, predicted_BCHW: Tensor, step: Step, *, eta: float
) -> Transition:
    """The distribution of the less noisy latent given x_t and the prediction (Eq. 12 and 16 of DDIM).

    eta 0: no noise; 1: as much as DDPM. Gradients flow into the mean.
    """
    alpha, sigma = math.sqrt(step.alpha_bar), math.sqrt(1 - step.alpha_bar)
    x0_BCHW = estimate_x0(schedule, noisy_BCHW, predicted_BCHW, step)
    if schedule.prediction == "epsilon":
        noise_BCHW = predicted_BCHW
    else:
        noise_BCHW = alpha * predicted_BCHW + sigma * noisy_BCHW
    left = 1 - step.alpha_bar_after
    variance = left / (1 - step.alpha_bar) * (1 - step.alpha_bar / step.alpha_bar_after)
    std = eta * math.sqrt(max(variance, 0.0))
    kept = math.sqrt(max(left - std**2, 0.0))
    return Transition(math.sqrt(step.alpha_bar_after) * x0_BCHW + kept * noise_BCHW, std)


def _timesteps(total: int, count: int, spacing: Spacing, offset: int) -> list[int]:
    """From the noisiest on (Table 2 of arXiv 2305.08891)."""
    if spacing == "leading":
        return [min(i * (total // count) + offset, total - 1) for i in reversed(range(count))]
    if spacing == "trailing":
        return [round(total - i * total / count) - 1 for i in range(count)]
    evenly = torch.linspace(0, total - 1, count, dtype=torch.float64).round()
    return [int(t) for t in evenly.flip(0)]

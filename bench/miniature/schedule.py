"""The noise of both worlds."""

import torch

from worker.training.noise import Diffusion

TIMESTEPS = 1000


def make_schedule() -> Diffusion:
    """DDPM's own: at its end nothing is left of a picture."""
    betas = torch.linspace(1e-4, 0.02, TIMESTEPS, dtype=torch.float64)
    return Diffusion((1 - betas).cumprod(0).float())

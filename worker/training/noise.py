"""Seeded randomness, and the noising of latents.

Every draw comes from a generator of its own, seeded by (run seed, epoch, image id, purpose). So what an
image gets depends neither on the batch it falls into nor on how often the run was interrupted, and two
runs that differ in their objective alone see the same timesteps and noise.
"""

import hashlib

import torch
from torch import Tensor


def generator_for(seed: int, epoch: int, image_id: str, purpose: str) -> torch.Generator:
    """Return a CPU generator that depends on the four values and nothing else."""
    text = f"{seed}\n{epoch}\n{image_id}\n{purpose}"
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def draw_timestep_and_noise(
    seed: int, epoch: int, image_id: str, *, shape: tuple[int, ...], num_timesteps: int
) -> tuple[int, Tensor]:
    """Draw t ~ U{0 .. num_timesteps - 1} and standard normal noise of `shape` (float32, CPU)."""
    generator = generator_for(seed, epoch, image_id, "noise")
    t = int(torch.randint(num_timesteps, (), generator=generator))
    return t, torch.randn(shape, generator=generator)


def draw_share(seed: int, epoch: int, image_id: str, purpose: str) -> float:
    """Draw one number from U[0, 1)."""
    generator = generator_for(seed, epoch, image_id, purpose)
    return float(torch.rand((), generator=generator, dtype=torch.float64))


def draw_order(seed: int, epoch: int, count: int) -> list[int]:
    """Draw the order of an epoch: a permutation of range(count)."""
    return torch.randperm(count, generator=generator_for(seed, epoch, "", "order")).tolist()


def add_noise(x0: Tensor, noise: Tensor, t: Tensor, alphas_cumprod: Tensor) -> Tensor:
    """Return x_t = sqrt(alpha_bar_t) x0 + sqrt(1 - alpha_bar_t) noise (DDPM, Eq. 4), in x0's dtype.

    `t` (B,) indexes `alphas_cumprod` (T,), the running product of 1 - beta.
    """
    alpha_bar = alphas_cumprod.to(device=x0.device)[t.to(x0.device)].view(-1, *[1] * (x0.dim() - 1))
    return (alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise).to(x0.dtype)

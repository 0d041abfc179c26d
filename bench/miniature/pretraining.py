"""The base model: what a pretrained model is to the paper. It knows prompts, and no word for an attribute."""

from pathlib import Path

import torch
from torch.nn.functional import mse_loss

from bench.miniature.backbone import write_model
from bench.miniature.criteria import SPOKEN
from bench.miniature.network import Mlp
from bench.miniature.world import PROMPTS, TIMESTEPS, World, make_schedule

BATCH = 256
RATE = 2e-3
WITHOUT_PROMPT = 0.1


def pretrain(world: World, folder: Path, *, seed: int, steps: int) -> Path:
    """Fit a network to fresh points of a world and write it as a model; the same seed gives the same bytes."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Mlp()
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    schedule = make_schedule()
    for _ in range(steps):
        modes_B = world.draw_modes(BATCH, generator)
        points_BD = world.draw(modes_B, generator)
        words_BV = torch.zeros(BATCH, len(SPOKEN))
        words_BV[:, : len(PROMPTS)] = world.words_KV[modes_B, : len(PROMPTS)]
        words_BV[torch.rand(BATCH, generator=generator) < WITHOUT_PROMPT] = 0
        t_B = torch.randint(TIMESTEPS, (BATCH,), generator=generator)
        noise_BD = torch.randn(points_BD.shape, generator=generator)
        noisy_BD = schedule.noisy(points_BD, noise_BD, t_B)
        loss = mse_loss(network(noisy_BD, t_B, words_BV), noise_BD)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch tells no type
        optimizer.step()
        rates.step()
    return write_model(folder, network, seed)

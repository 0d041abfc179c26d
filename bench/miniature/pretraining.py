"""The base model: what a pretrained model is to the paper. It knows prompts, and no word for an attribute."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from bench.miniature.arms import Size
from bench.miniature.backbone import write_model
from bench.miniature.kinds import World
from bench.miniature.network import network_for
from bench.miniature.schedule import TIMESTEPS, make_schedule
from bench.miniature.worlds import open_world

BATCH = 256
RATE = 2e-3
WITHOUT_PROMPT = 0.1


def pretrain(name: str, folder: Path, *, seed: int, size: Size) -> Path:
    """Fit a network to points of the world of this name and write it as a model; the same seed gives the same bytes."""
    world, steps = open_world(name, seed), size.base_steps
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = network_for(world, width=size.width, depth=size.depth)
    optimizer = torch.optim.Adam(network.parameters(), RATE)
    rates = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    schedule = make_schedule()
    draw = _drawing(world, size.base_pictures, generator)
    for _ in range(steps):
        modes_B, points_BD = draw()
        words_BV = torch.zeros(BATCH, len(world.language.spoken))
        words_BV[torch.arange(BATCH), world.prompts_K[modes_B]] = 1
        words_BV[torch.rand(BATCH, generator=generator) < WITHOUT_PROMPT] = 0
        t_B = torch.randint(TIMESTEPS, (BATCH,), generator=generator)
        noise_BD = torch.randn(points_BD.shape, generator=generator)
        noisy_BD = schedule.noisy(points_BD, noise_BD, t_B)
        loss = mse_loss(network(noisy_BD, t_B, words_BV), noise_BD)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch tells no type
        optimizer.step()
        rates.step()
    return write_model(folder, network, name, seed)


def _drawing(
    world: World, count: int, generator: torch.Generator
) -> Callable[[], tuple[Tensor, Tensor]]:
    """What gives a batch of modes and points: of `count` that are drawn once, or other ones each time."""
    if not count:

        def fresh() -> tuple[Tensor, Tensor]:
            modes_B = world.draw_modes(BATCH, generator)
            return modes_B, world.draw(modes_B, generator)

        return fresh
    modes_N = world.draw_modes(count, generator)
    points_ND = world.draw(modes_N, generator)

    def known() -> tuple[Tensor, Tensor]:
        chosen = torch.randint(count, (BATCH,), generator=generator)
        return modes_N[chosen], points_ND[chosen]

    return known

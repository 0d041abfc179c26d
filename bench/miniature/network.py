"""The network of both worlds: noise, time and words in, the noise that was added out."""

import json
import math
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import silu

from bench.miniature.kinds import World
from bench.miniature.schedule import TIMESTEPS, make_schedule
from worker.training.backbones.network_files import WEIGHTS_NAME

ALPHA_BAR_T = make_schedule().alphas_cumprod_T
WAVES = 16
TARGETS = ("put_in", "word_in", "layers.0", "layers.1", "layers.2", "take_out")
"""The layers that adapters are attached to: all that see the point or the words. Rewards are told to experts alone, and
these are trained whole."""


class Mlp(nn.Module):
    """A residual perceptron: of about 0.22 million weights where it is as wide and deep as by default."""

    def __init__(
        self, size: int, words: int, rewards: int, *, width: int = 256, depth: int = 3
    ) -> None:
        super().__init__()
        self.sizes = {
            "size": size,
            "words": words,
            "rewards": rewards,
            "width": width,
            "depth": depth,
        }
        self.put_in = nn.Linear(size, width)
        self.time_in = nn.Linear(2 * WAVES, width)
        self.word_in = nn.Linear(words, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.take_out = nn.Linear(width, size)
        # Drawn last, so that all others start as they do without it.
        self.reward_in = nn.Linear(rewards, width, bias=False)

    def forward(self, noisy_BD: Tensor, t_B: Tensor, words_BV: Tensor) -> Tensor:
        """Predict the noise, (B, D). Words are those of the world, and then the rewards.

        What is learned is v (Salimans and Ho 2022): at much noise the noise itself is nearly what is seen, and
        need not go through the layers.
        """
        words_BV, rewards_BR = words_BV.tensor_split([self.sizes["words"]], 1)
        hidden = self.put_in(noisy_BD) + self.time_in(_waves(t_B)) + self.word_in(words_BV)
        hidden = hidden + self.reward_in(rewards_BR)
        for layer in self.layers:
            hidden = hidden + layer(silu(hidden))
        alpha_bar_B1 = ALPHA_BAR_T[t_B.long()][:, None]
        v_BD = self.take_out(silu(hidden))
        found: Tensor = alpha_bar_B1.sqrt() * v_BD + (1 - alpha_bar_B1).sqrt() * noisy_BD
        return found

    def to_json_string(self) -> str:
        """What files of weights keep of a network beside them."""
        return json.dumps(self.sizes)


def network_for(world: World, *, width: int = 256, depth: int = 3) -> Mlp:
    """A network, not yet trained, for the points and words of a world."""
    words, rewards = len(world.language.words), len(world.language.rewards)
    return Mlp(world.size, words, rewards, width=width, depth=depth)


def _waves(t_B: Tensor) -> Tensor:
    """Sines and cosines of time, (B, 2 * WAVES)."""
    speeds = torch.exp(torch.linspace(0, math.log(200), WAVES)).to(t_B.device)
    angles = t_B.float()[:, None] / TIMESTEPS * speeds
    return torch.cat([angles.sin(), angles.cos()], 1)


def open_network(folder: Path) -> nn.Module:
    """A network as a run or `pretraining` left it."""
    network = Mlp(**json.loads((folder / "config.json").read_text(encoding="utf-8")))
    network.load_state_dict(load_file(folder / WEIGHTS_NAME))
    return network.requires_grad_(False).eval()

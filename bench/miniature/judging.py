"""A world's own judge, as agents are: it reads attributes off pictures."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.miniature.kinds import World
from taxonomy.tree import POLARITIES, Side
from worker.agents.agent import Account, Finding, Memory


@dataclass(frozen=True)
class WorldJudge:
    """Implements Reader: the attributes of the nearest mode."""

    world: World
    asked: frozenset[str] | None = None
    """Keys of pairs; None: all."""

    @property
    def decides(self) -> frozenset[Side]:
        """Both sides of each pair."""
        return frozenset(Side(key, polarity) for key in self._keys for polarity in POLARITIES)

    def only(self, keys: Collection[str]) -> "WorldJudge":
        """The same, asked about fewer pairs."""
        return replace(self, asked=self._keys & frozenset(keys))

    def label(self, image: Image.Image, account: Account, memory: Memory) -> list[Finding]:
        """The side of each pair that the picture shows."""
        del account, memory  # nothing is asked for
        modes_1, _ = self.world.read(_pixels_of(image)[None])
        flawed = self.world.flaws_KA[modes_1[0]].tolist()
        return [
            Finding(key, "negative" if is_flaw else "positive")
            for key, is_flaw in zip(self.world.language.keys, flawed, strict=True)
            if key in self._keys
        ]

    @property
    def _keys(self) -> frozenset[str]:
        return frozenset(self.world.language.keys) if self.asked is None else self.asked


def _pixels_of(image: Image.Image) -> Tensor:
    values_HWC = torch.from_numpy(np.array(image, dtype=np.float32))
    return values_HWC.permute(2, 0, 1) / 127.5 - 1

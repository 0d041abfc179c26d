"""The exact world's own judge, as agents are: it reads attributes off the point that a picture holds."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from bench.miniature.carrying import point_of
from bench.miniature.criteria import KEYS
from bench.miniature.world import World
from taxonomy.tree import POLARITIES, Side
from worker.agents.agent import Account, Finding, Memory


@dataclass(frozen=True)
class WorldJudge:
    """Implements Reader: the attributes of the nearest mode."""

    world: World
    keys: frozenset[str] = field(default=frozenset(KEYS))

    @property
    def decides(self) -> frozenset[Side]:
        """Both sides of each pair."""
        return frozenset(Side(key, polarity) for key in self.keys for polarity in POLARITIES)

    def only(self, keys: Collection[str]) -> "WorldJudge":
        """The same, asked about fewer pairs."""
        return replace(self, keys=self.keys & frozenset(keys))

    def label(self, image: Image.Image, account: Account, memory: Memory) -> list[Finding]:
        """The side of each pair that the picture shows."""
        del account, memory  # nothing is asked for
        modes_1, _ = self.world.nearest(point_of(_pixels_of(image))[None])
        flawed = self.world.flaws_KA[modes_1[0]].tolist()
        return [
            Finding(key, "negative" if is_flaw else "positive")
            for key, is_flaw in zip(KEYS, flawed, strict=True)
            if key in self.keys
        ]


def _pixels_of(image: Image.Image) -> Tensor:
    values_HWC = torch.from_numpy(np.array(image, dtype=np.float32))
    return values_HWC.permute(2, 0, 1) / 127.5 - 1

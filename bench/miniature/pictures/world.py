"""The world of pictures as the study takes worlds: what is painted, its autoencoder, and the checker.

The autoencoder is linear: the first 64 principal components of four pictures of each mode, which hold 99 % of what pictures differ
in. Each is divided by the root of its deviation: of equal weight, grain would count as much as a shape; as they are, an
outline would count for nothing beside a ground.

The checker paints each of the 9 prompts with each of the 2^5 states and looks which of these 288 a picture is nearest
to, pixel by pixel. It knows nothing of points, words or networks.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from bench.miniature.language import Language
from bench.miniature.pictures.painting import FLAWS, MERITS, PROMPTS, SIDE, paint

D = 64
EACH = 4
"""Pictures of each mode that the autoencoder is fitted to."""
POWER = 0.25
"""Of the variance: what a component is divided by."""
LANGUAGE = Language(
    "miniature-pictures",
    PROMPTS,
    MERITS,
    FLAWS,
    {"tone": (0,), "surface": (1, 2), "drawing": (3, 4)},
)
TOGETHER = 1024
"""So many pictures at once are enough for memory."""


@dataclass(frozen=True)
class PictureWorld:
    """Implements World. The seed decides which pictures the autoencoder is fitted to."""

    seed: int
    language: Language = LANGUAGE
    size: int = D
    side: int = SIDE

    @cached_property
    def prompts_K(self) -> Tensor:
        return torch.arange(len(PROMPTS)).repeat_interleave(2 ** len(FLAWS))

    @cached_property
    def flaws_KA(self) -> Tensor:
        states = torch.tensor(list(product((0.0, 1.0), repeat=len(FLAWS))))
        return states.repeat(len(PROMPTS), 1)

    @cached_property
    def words_KV(self) -> Tensor:
        prompts = torch.nn.functional.one_hot(self.prompts_K, len(PROMPTS)).float()
        return torch.cat([prompts, 1 - self.flaws_KA, self.flaws_KA], 1)

    def draw_modes(self, count: int, generator: torch.Generator) -> Tensor:
        return torch.randint(len(self.prompts_K), (count,), generator=generator)

    def draw_pixels(self, modes_B: Tensor, generator: torch.Generator) -> Tensor:
        return torch.cat(
            [
                paint(self.prompts_K[modes], self.flaws_KA[modes], generator)
                for modes in torch.split(modes_B, TOGETHER)
            ]
        )

    def draw(self, modes_B: Tensor, generator: torch.Generator) -> Tensor:
        return self.points_of(self.draw_pixels(modes_B, generator))

    def pixels_of(self, points_BD: Tensor) -> Tensor:
        mean, basis, scale = self._code
        return (points_BD * scale @ basis.T + mean).view(-1, 3, SIDE, SIDE)

    def points_of(self, pixels_BCHW: Tensor) -> Tensor:
        mean, basis, scale = self._code
        return (pixels_BCHW.flatten(1) - mean) @ basis / scale

    def read(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        found = torch.cdist(pixels_BCHW.clamp(-1, 1).flatten(1), self._models).min(1)
        return found.indices, found.values**2 / self._usual

    def nearest(self, points_BD: Tensor) -> tuple[Tensor, Tensor]:
        return self.read(self.pixels_of(points_BD))

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        points = self.points_of(self._sample).double()
        return points.mean(0), torch.cov(points.T)

    @cached_property
    def _sample(self) -> Tensor:
        generator = torch.Generator().manual_seed(self.seed)
        modes = torch.arange(len(self.prompts_K)).repeat(EACH)
        return self.draw_pixels(modes, generator)

    @cached_property
    def _code(self) -> tuple[Tensor, Tensor, Tensor]:
        """Mean (3 S S,), components (3 S S, D), and what each is divided by (D,)."""
        pixels = self._sample.flatten(1).double()
        mean = pixels.mean(0)
        apart = (pixels - mean) / len(pixels) ** 0.5
        # There are fewer pictures than pixels: what the pictures have in common has the same variances.
        variances, shares = torch.linalg.eigh(apart @ apart.T)
        variances, shares = variances.flip(0)[:D], shares.flip(1)[:, :D]
        basis = apart.T @ shares / variances.sqrt()
        # A component's sign is no property of the pictures; with this one it does not depend on the library.
        basis = basis * torch.sign(basis.gather(0, basis.abs().argmax(0)[None]))
        scale = variances**POWER
        # Points are as long as noise: on average 1 in each number.
        scale = scale * ((variances / scale**2).mean()).sqrt()
        return mean.float(), basis.float(), scale.float()

    @cached_property
    def _models(self) -> Tensor:
        """What pictures of each mode differ from, (K, 3 S S)."""
        return paint(self.prompts_K, self.flaws_KA).flatten(1)

    @cached_property
    def _usual(self) -> float:
        """The squared distance of the world's own pictures to their mode, without what the autoencoder drops."""
        again = self.pixels_of(self.points_of(self._sample)).flatten(1)
        return float((torch.cdist(again, self._models).min(1).values ** 2).mean())

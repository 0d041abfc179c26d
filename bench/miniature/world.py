"""The exact world: a mixture of Gaussians, one for each prompt and each state of its attributes.

What a perfect model would predict under any condition is a finite sum here, and so is the judgement of what was
painted. Shape letters: B points, D dimensions, K modes, A attributes, V words.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch
from torch import Tensor

from bench.miniature.carrying import SIDE, pixels_of, points_of
from bench.miniature.language import Language

D = 24
PROMPTS = tuple(
    f"a painting of {what}"
    for what in (
        "a harbour",
        "a forest",
        "a portrait",
        "a market",
        "a bridge",
        "a garden",
        "a storm",
        "a room",
    )
)
MERITS = (
    "rich saturation",
    "clear edges",
    "deep space",
    "soft light",
    "visual balance",
    "firm strokes",
)
FLAWS = (
    "dull color",
    "blurred edges",
    "flat space",
    "harsh light",
    "crowded layout",
    "weak strokes",
)
LANGUAGE = Language(
    "miniature", PROMPTS, MERITS, FLAWS, {"color": (0, 3), "form": (1, 5), "space": (2, 4)}
)
WORDS = LANGUAGE.words
MENTIONED = 0.8
"""How often an annotator writes down an attribute that a picture has."""
SPREAD = 0.15
"""Standard deviation of a mode."""
SHIFT = (0.55, 0.75)
"""How far either side of an attribute lies from its prompt's middle, by prompt and attribute."""


@dataclass(frozen=True)
class ExactWorld:
    """Modes and what they mean. Implements World."""

    middles_KD: Tensor
    prompts_K: Tensor
    """The prompt of each mode."""
    flaws_KA: Tensor
    """1 where a mode has the flaw, 0 where the merit."""
    language: Language = LANGUAGE
    size: int = D
    side: int = SIDE

    @cached_property
    def words_KV(self) -> Tensor:
        """1 for each word that is true of a mode."""
        prompts = torch.nn.functional.one_hot(self.prompts_K, len(PROMPTS)).float()
        return torch.cat([prompts, 1 - self.flaws_KA, self.flaws_KA], 1)

    def draw(self, modes_B: Tensor, generator: torch.Generator) -> Tensor:
        """A point of each of these modes, (B, D)."""
        noise = torch.randn(len(modes_B), D, generator=generator)
        return self.middles_KD[modes_B] + SPREAD * noise

    def draw_pixels(self, modes_B: Tensor, generator: torch.Generator) -> Tensor:
        """A picture of each of these modes, (B, 3, S, S)."""
        return self.pixels_of(self.draw(modes_B, generator))

    def pixels_of(self, points_BD: Tensor) -> Tensor:
        """Pictures that hold points, (B, 3, S, S)."""
        return pixels_of(points_BD)

    def points_of(self, pixels_BCHW: Tensor) -> Tensor:
        """The points that pictures hold, (B, D)."""
        return points_of(pixels_BCHW, D)

    def read(self, pixels_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """`nearest` of the points that pictures hold."""
        return self.nearest(self.points_of(pixels_BCHW))

    def draw_modes(self, count: int, generator: torch.Generator) -> Tensor:
        """Modes as they come, (B,): prompts and states are all as frequent."""
        return torch.randint(len(self.middles_KD), (count,), generator=generator)

    def predict(self, noisy_BD: Tensor, alpha_bar_B: Tensor, words_BV: Tensor) -> Tensor:
        """The noise that the best possible model predicts, E[noise | x_t, words], (B, D).

        A mode counts where all words of the condition are true of it; each other word is unknown. Words behind
        those of the world (rewards) say nothing here.
        """
        words_BV = words_BV[:, : len(WORDS)]
        alpha_B1, left_B1 = alpha_bar_B.sqrt()[:, None], (1 - alpha_bar_B)[:, None]
        variance_B1 = alpha_bar_B[:, None] * SPREAD**2 + left_B1
        from_BKD = noisy_BD[:, None] - alpha_B1[..., None] * self.middles_KD
        fits_BK = -(from_BKD**2).sum(2) / (2 * variance_B1)
        is_false_BK = words_BV @ (1 - self.words_KV).T > 0
        share_BK = fits_BK.masked_fill(is_false_BK, -torch.inf).softmax(1)
        from_BD = noisy_BD - alpha_B1 * (share_BK @ self.middles_KD)
        # Within a mode the noise is the whole deviation's share that is not the mode's own spread.
        return left_B1.sqrt() / variance_B1 * from_BD

    def nearest(self, points_BD: Tensor) -> tuple[Tensor, Tensor]:
        """The nearest mode of each point, (B,), and the mean squared distance to it in units of its spread, (B,)."""
        distances_BK = torch.cdist(points_BD, self.middles_KD)
        found = distances_BK.min(1)
        return found.indices, found.values**2 / (D * SPREAD**2)

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean (D,) and covariance (D, D) of everything, float64."""
        middles = self.middles_KD.double()
        covariance = torch.cov(middles.T, correction=0) + SPREAD**2 * torch.eye(D).double()
        return middles.mean(0), covariance


def make_world(seed: int) -> ExactWorld:
    """A world: where prompts lie, where attributes lead, and how far, all drawn from the seed.

    Attributes have one direction each, which is not at right angles to what tells prompts apart, and lead
    farther in some prompts than in others: content and attributes are entangled.
    """
    generator = torch.Generator().manual_seed(seed)
    contents_PD = torch.randn(len(PROMPTS), D, generator=generator)
    basis_DD, _ = torch.linalg.qr(torch.randn(D, D, generator=generator))
    directions_AD = basis_DD[: len(FLAWS)]
    low, high = SHIFT
    shifts_PA = low + (high - low) * torch.rand(len(PROMPTS), len(FLAWS), generator=generator)
    states = torch.tensor(list(product((0.0, 1.0), repeat=len(FLAWS))))
    prompts_K = torch.arange(len(PROMPTS)).repeat_interleave(len(states))
    flaws_KA = states.repeat(len(PROMPTS), 1)
    middles_KD = (
        contents_PD[prompts_K] + ((1 - 2 * flaws_KA) * shifts_PA[prompts_K]) @ directions_AD
    )
    return ExactWorld(middles_KD, prompts_K, flaws_KA)

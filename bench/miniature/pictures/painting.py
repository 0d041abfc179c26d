"""The pictures of the second world: a shape of a hue on a ground, 32 pixels wide, with five pairs of merit and flaw."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

SIDE = 32
SHAPES = ("square", "disc", "triangle")
HUES: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.2, 0.2),
    "green": (0.2, 0.7, 0.25),
    "blue": (0.2, 0.3, 0.9),
}
PROMPTS = tuple(f"a {hue} {shape}" for shape in SHAPES for hue in HUES)
MERITS = ("bright ground", "sharp edges", "even fill", "centred", "thick outline")
FLAWS = ("dim ground", "blurred edges", "mottled fill", "off-centre", "thin outline")
GROUNDS = (0.92, 0.5)
"""Of the ground's grey: merit, then flaw, as in all below."""
SOFTNESS = (0.5, 3.0)
"""Pixels over which an edge goes from nothing to all, either way."""
MOTTLE = (0.0, 0.25)
"""How far the fill's patches differ from its hue."""
SHIFTS = (0.0, 5.0)
"""How far to the right and down from the middle, in pixels."""
OUTLINES = (3.0, 1.0)
"""Width in pixels."""
RADIUS = 8.0
TINT = 0.05
"""How far hue and ground differ from picture to picture, standard deviation."""
GRAIN = 0.02
"""The same of each pixel."""


def paint(prompts_B: Tensor, flaws_BA: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Pictures (B, 3, 32, 32) in [-1, 1] of these prompts and flaws.

    Each differs a little in hue, ground and grain; without a generator it is what they differ from.
    """
    count = len(prompts_B)

    def differing(*shape: int) -> Tensor:
        if generator is None:
            return torch.zeros(count, *shape)
        return torch.randn(count, *shape, generator=generator)

    bright, soft, mottle, shift, width = (
        merit + (flaw - merit) * flaws_BA[:, place, None, None]
        for place, (merit, flaw) in enumerate((GROUNDS, SOFTNESS, MOTTLE, SHIFTS, OUTLINES))
    )
    line = torch.arange(SIDE) - (SIDE - 1) / 2
    x_BHW = line[None, None, :] - shift
    y_BHW = line[None, :, None] - shift
    inside_BHW = _inside(prompts_B // len(HUES), x_BHW, y_BHW)
    hues_B3 = torch.tensor(list(HUES.values()))[prompts_B % len(HUES)] + TINT * differing(3)
    grounds_B1 = bright[:, 0] + TINT * differing(1)
    patches_BHW = torch.sign(torch.sin(math.pi * x_BHW / 3) * torch.sin(math.pi * y_BHW / 3))
    fill_B3HW = hues_B3[..., None, None] + (mottle * patches_BHW)[:, None]
    # From the edge inward: outline, then fill; both go over into what lies beside them.
    covered = (inside_BHW / soft + 0.5).clamp(0, 1)[:, None]
    filled = ((inside_BHW - width) / soft + 0.5).clamp(0, 1)[:, None]
    picture = (1 - covered) * grounds_B1[..., None, None] + (covered - filled) * 0.08
    picture = picture + filled * fill_B3HW + GRAIN * differing(3, SIDE, SIDE)
    return picture.clamp(0, 1) * 2 - 1


def _inside(shapes_B: Tensor, x_BHW: Tensor, y_BHW: Tensor) -> Tensor:
    """How far inside of its shape each pixel lies, in pixels; negative beyond its edge."""
    square = RADIUS - torch.maximum(x_BHW.abs(), y_BHW.abs())
    disc = RADIUS * 1.1 - (x_BHW**2 + y_BHW**2).sqrt()
    slope = math.sqrt(1.25)
    sides = (RADIUS + y_BHW - 2 * x_BHW.abs()) / (2 * slope)
    triangle = torch.minimum(sides, RADIUS - y_BHW)
    every: Sequence[Tensor] = (square, disc, triangle)
    return torch.stack(list(every), 1)[torch.arange(len(shapes_B)), shapes_B]

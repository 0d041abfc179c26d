"""How a point of the exact world travels as a picture of 16 x 16 pixels: each number in the red and green of a pixel, as
exact as 16 bits are.
"""

from torch import Tensor, zeros

from bench.miniature.world import D

SIDE = 16
REACH = 8.0
"""Numbers are held between this and its negative."""
LEVELS = 2**16 - 1


def pixels_of(point_D: Tensor) -> Tensor:
    """A point as pixels (3, 16, 16) in [-1, 1]."""
    levels_D = ((point_D.clamp(-REACH, REACH) + REACH) / (2 * REACH) * LEVELS).round().long()
    values = zeros(3, SIDE * SIDE)
    values[0, :D], values[1, :D] = levels_D // 256, levels_D % 256
    return values.view(3, SIDE, SIDE) / 127.5 - 1


def point_of(pixels_CHW: Tensor) -> Tensor:
    """The point (D,) that pixels hold."""
    values = ((pixels_CHW + 1) * 127.5).round().flatten(1)[:, :D]
    return (values[0] * 256 + values[1]) / LEVELS * 2 * REACH - REACH

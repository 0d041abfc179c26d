"""How a point of the exact world travels as a picture of 16 x 16 pixels: each number in the red and green of a pixel, as
exact as 16 bits are.
"""

from torch import Tensor, zeros

SIDE = 16
REACH = 8.0
"""Numbers are held between this and its negative."""
LEVELS = 2**16 - 1


def pixels_of(points_BD: Tensor) -> Tensor:
    """Points as pixels (B, 3, 16, 16) in [-1, 1]."""
    count, size = points_BD.shape
    levels_BD = ((points_BD.clamp(-REACH, REACH) + REACH) / (2 * REACH) * LEVELS).round().long()
    values = zeros(count, 3, SIDE * SIDE)
    values[:, 0, :size], values[:, 1, :size] = levels_BD // 256, levels_BD % 256
    return values.view(count, 3, SIDE, SIDE) / 127.5 - 1


def points_of(pixels_BCHW: Tensor, size: int) -> Tensor:
    """The points (B, D) of so many numbers that pixels hold."""
    values = ((pixels_BCHW + 1) * 127.5).round().flatten(2)[:, :, :size]
    return (values[:, 0] * 256 + values[:, 1]) / LEVELS * 2 * REACH - REACH

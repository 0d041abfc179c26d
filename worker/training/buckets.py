"""Aspect-ratio buckets: the few picture sizes that training uses, all of about the same area.

Needs no torch. A size is (width, height) in pixels.
"""

import math
from collections.abc import Sequence

Size = tuple[int, int]

LEAST_AREA = 0.8
"""A bucket holds at least this share of the square's pixels: where the grid is coarse, a shape that
could only be had with fewer is left out."""


def make_buckets(resolution: int, step: int, aspect: float, unit: int) -> tuple[Size, ...]:
    """The square of side `resolution`, and the rectangles that are about as large, tall ones first.

    Sides are multiples of `step` and of `unit`, what the model needs. Where the square is smaller than
    the least multiple of both, `unit` alone counts. The square's own side is `resolution` in any case.
    No rectangle has more pixels than the square or is more than `aspect` times as long as it is
    wide, and each stands there upright and lying.
    """
    grid = math.lcm(step, unit)
    if resolution < grid:
        grid = unit
    area = resolution * resolution
    first = (resolution // grid + 1) * grid
    longest = math.isqrt(int(aspect * area))
    lying = []
    for long in range(first, longest + 1, grid):
        short = area // long // grid * grid
        if long <= aspect * short and long * short >= LEAST_AREA * area:
            lying.append((long, short))
    upright = [(short, long) for long, short in reversed(lying)]
    return (*upright, (resolution, resolution), *lying)


def nearest_bucket(size: Size, buckets: Sequence[Size]) -> Size:
    """The bucket whose shape is nearest: scaled to cover it, the picture loses least to the crop.

    Of two that are equally near, the one nearer to a square.
    """
    shape = _log_aspect(size)
    return min(buckets, key=lambda each: (abs(_log_aspect(each) - shape), abs(_log_aspect(each))))


def _log_aspect(size: Size) -> float:
    # A difference of logarithms, not the logarithm of a ratio: exactly the negative when turned.
    return math.log(size[0]) - math.log(size[1])

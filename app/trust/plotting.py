"""Where the points of a reliability curve stand in its picture, in units of the picture."""

import math
from dataclasses import dataclass

from app.trust.schemas import CurveOut

SIDE = 200.0
"""The length of both axes: 0 to 100 percent."""
SMALLEST, LARGEST = 2.5, 7.0
"""The radius of the point with the fewest and with the most answers."""


@dataclass(frozen=True, slots=True)
class Point:
    """What was said and what holds; how large the point is, and from where to where the interval reaches."""

    x: float
    y: float
    radius: float
    low: float | None
    high: float | None


def points(curve: CurveOut) -> list[Point]:
    """A point for each range that has answers, its area by how many."""
    most = max((each.answers for each in curve.bins), default=1)

    def up(share: float) -> float:
        return round(SIDE * (1 - share), 1)

    return [
        Point(
            round(SIDE * each.said, 1),
            up(each.holds),
            round(max(SMALLEST, LARGEST * math.sqrt(each.answers / most)), 1),
            up(each.interval[0]) if each.interval else None,
            up(each.interval[1]) if each.interval else None,
        )
        for each in curve.bins
    ]

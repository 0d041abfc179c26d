"""Where accuracies and their intervals stand on the axis of a plot, in percent of its width."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from app.audits.scoring import Score
from app.intervals import Interval

STEP = 10
MOST_TICKS = 6


@dataclass(frozen=True, slots=True)
class Mark:
    """A share on an axis: its place, and those of the ends of its interval where it has one."""

    at: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Axis:
    """From `low` to 100 percent, with ticks as (percent, place)."""

    low: int
    ticks: tuple[tuple[int, float], ...]

    def place(self, share: float) -> float:
        """Where a share in [0, 1] stands, in percent of the width."""
        return round(max(0.0, 100 * (100 * share - self.low) / (100 - self.low)), 2)

    def mark(self, share: float | None, interval: Interval | None) -> Mark | None:
        """A share with its interval; None where there is none."""
        if share is None:
            return None
        low, high = (self.place(end) for end in interval) if interval else (None, None)
        return Mark(self.place(share), low, high)


def axis_of(scores: Iterable[Score]) -> Axis:
    """An axis that holds everything these scores say, from a whole ten to 100 percent."""
    shares = [1.0]
    for each in scores:
        shares += [value for value in (each.accuracy, each.corrected) if value is not None]
        for interval in (each.interval, each.corrected_interval):
            shares += interval or ()
    # One ten more to the left, so that nothing stands on the edge.
    low = max(0, min(90, STEP * (math.floor(100 * min(shares) / STEP - 0.2))))
    step = STEP
    while (100 - low) / step >= MOST_TICKS:
        step += STEP
    ticks = range(100 - (100 - low) // step * step, 101, step)
    return Axis(low, tuple((tick, round(100 * (tick - low) / (100 - low), 2)) for tick in ticks))

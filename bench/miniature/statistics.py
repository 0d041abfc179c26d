"""Comparisons with intervals: seeds are drawn again with replacement, and then each one's prompts.

All networks of a seed paint the same prompts from the same noise, so what is compared is paired by both.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.miniature.arms import BASE, STABLE, Arm
from bench.miniature.running import Found

DRAWS = 2000
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    middle: float
    low: float
    high: float

    @property
    def is_below_zero(self) -> bool:
        return self.high < 0

    @property
    def is_above_zero(self) -> bool:
        return self.low > 0

    def shown(self, digits: int = 2) -> str:
        return f"{self.middle:+.{digits}f} [{self.low:+.{digits}f}, {self.high:+.{digits}f}]"


@dataclass(frozen=True, slots=True)
class Race:
    """Who is first at a winning part: median steps over seeds, None for never."""

    beta: float
    threshold: float
    plain: float | None
    stable: float | None


def change(found: Found, name: str, rival: str = BASE) -> Interval:
    """By how many negatives in a picture a run differs from another, or from the base."""
    return _interval(_drawn(found, name, "flaws_P") - _drawn(found, rival, "flaws_P"))


def at_equal_flaws(found: Found, name: str, figure: str) -> Interval | None:
    """A figure of a run less what CPO-S has where it leaves as many negatives.

    Between the strengths of CPO-S, and between the weakest and the base, it is read off a straight line. None
    where the run leaves fewer negatives than CPO-S at its strongest.
    """
    flaws, ways = _drawn(found, name, "flaws_P"), (BASE, *STABLE)
    reached = np.stack([_drawn(found, way, "flaws_P") for way in ways], 1)
    figures = np.stack([_drawn(found, way, figure) for way in ways], 1)
    if flaws[0] < reached[0].min():
        return None
    order = reached.argsort(1)
    reached, figures = (np.take_along_axis(each, order, 1) for each in (reached, figures))
    there = [np.interp(*each) for each in zip(flaws, reached, figures, strict=True)]
    return _interval(_drawn(found, name, figure) - np.array(there))


def mean(found: Found, name: str, figure: str) -> float:
    """Over seeds, and over prompts where it is known by prompt."""
    return float(np.mean([np.mean(found.results[seed][name][figure]) for seed in found.seeds]))


def races(found: Found, thresholds: Sequence[float]) -> list[Race]:
    """When CPO and CPO-S first reach each winning part on validation pictures."""
    betas = sorted({arm.objective["beta"] for arm in found.arms if arm.group == "speed"})
    return [
        Race(
            beta,
            threshold,
            _first(found, f"speed-cpo-{beta:.0f}", threshold),
            _first(found, f"speed-cpo_s-{beta:.0f}", threshold),
        )
        for beta in betas
        for threshold in thresholds
    ]


def lowest_win(found: Found, name: str) -> float:
    """The lowest winning part that a run came to, median over seeds."""
    lowest = [min(win for _, win, _ in _curve(found, seed, name)) for seed in found.seeds]
    return float(median(lowest))


def curve(found: Found, name: str) -> list[tuple[int, float]]:
    """The winning part on validation pictures by step, mean over seeds."""
    curves = [_curve(found, seed, name) for seed in found.seeds]
    return [
        (points[0][0], float(np.mean([win for _, win, _ in points])))
        for points in zip(*curves, strict=True)
    ]


def of_group(found: Found, group: str) -> list[Arm]:
    return [arm for arm in found.arms if arm.group == group]


def _drawn(found: Found, name: str, figure: str) -> Values:
    """The mean of a figure over everything, and then over each draw of seeds and their prompts."""
    values = np.array([found.results[seed][name][figure] for seed in found.seeds])
    num_seeds = len(found.seeds)
    # The same draws for every run: that is what pairs them.
    rng = np.random.default_rng(0)
    seeds = rng.integers(num_seeds, size=(DRAWS, num_seeds))
    chosen = values[seeds]
    if values.ndim == 2:
        num_prompts = values.shape[1]
        prompts = rng.integers(num_prompts, size=(DRAWS, num_seeds, num_prompts))
        chosen = values[seeds[..., None], prompts]
    return np.concatenate([[values.mean()], chosen.reshape(DRAWS, -1).mean(1)])


def _interval(drawn: Values) -> Interval:
    low, high = np.percentile(drawn[1:], [2.5, 97.5])
    return Interval(float(drawn[0]), float(low), float(high))


def _first(found: Found, name: str, threshold: float) -> float | None:
    """Steps until the threshold: the median over seeds, None where most never come there."""
    firsts = [
        next((step for step, win, _ in _curve(found, seed, name) if win <= threshold), np.inf)
        for seed in found.seeds
    ]
    found_median = float(np.median(firsts))
    return found_median if np.isfinite(found_median) else None


def _curve(found: Found, seed: int, name: str) -> list[Any]:
    points: list[Any] = found.results[seed][name]["curve"]
    return points

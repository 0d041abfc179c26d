"""Whether a confidence means what it says: of statements made with 70 %, seven in ten should hold.

The expected calibration error (Naeini, Cooper and Hauskrecht 2015) is the mean distance of what is said from what
holds, over ten equal ranges of what is said, weighted by how many fall into each. It is never nothing: with few
answers chance alone keeps them apart. How much it would be by chance is told beside it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from app.intervals import Interval, share_interval, spread
from worker.trust.people import LEAST, Reals, Whole

BINS = 10
# Somebody who says yes to what is there hardly more often than to what is not tells nothing of single labels.
LEAST_TELLING = 0.2


@dataclass(frozen=True, slots=True)
class Bin:
    """Of the statements in one range of confidence: how many answers, the mean of what was said, the share that
    holds, with its 95 % interval over images and people, and by how much that share is off by chance (one standard
    error). None where that cannot be told.
    """

    answers: int
    said: float
    holds: float
    interval: Interval | None
    error: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The ranges that have answers, in order; the expected calibration error, and what it would be by chance if
    everything were as it is said to be.
    """

    bins: tuple[Bin, ...]
    answers: int
    error: float | None
    by_chance: float | None


@dataclass(frozen=True, slots=True)
class Judged:
    """Answers as columns of equal length: what was said of the label in [0, 1], whether the answer was yes (0 or 1),
    how often who gave it says yes to what is not there and no to what is, the image, and the person.
    """

    said: Reals
    yes: Reals
    yes_rate: Reals
    miss_rate: Reals
    images: Whole
    people: Whole


def calibration_error(said: Reals, holds: Reals) -> float:
    """The expected calibration error of confidences of which is known what holds (0 or 1)."""
    place = _places(said)
    counts = np.bincount(place, minlength=BINS)
    apart = np.bincount(place, weights=said - holds, minlength=BINS)
    return float(np.abs(apart).sum() / counts.sum())


def curve(judged: Judged) -> Curve:
    """What holds beside what is said, where what holds is told by people of whom is known how they err. Answers of people
    who tell next to nothing (`LEAST_TELLING`) are left out.
    """
    judged = _telling(judged)
    place = _places(judged.said)
    bins = tuple(_bin(judged, place == each) for each in range(BINS) if (place == each).any())
    total = sum(each.answers for each in bins)
    if not total:
        return Curve((), 0, None, None)
    return Curve(
        bins,
        total,
        _mean([abs(each.said - each.holds) for each in bins], bins),
        # The mean of a normal variable's distance from its middle.
        _mean([math.sqrt(2 / math.pi) * each.error for each in bins], bins),
    )


def _telling(judged: Judged) -> Judged:
    """Only the answers of people who tell something."""
    chosen = 1 - judged.yes_rate - judged.miss_rate >= LEAST_TELLING
    return Judged(*(getattr(judged, each.name)[chosen] for each in fields(judged)))


def _places(said: Reals) -> Whole:
    return np.minimum((said * BINS).astype(np.int64), BINS - 1)


def _mean(values: Sequence[float], bins: Sequence[Bin]) -> float:
    return float(np.average(values, weights=[each.answers for each in bins]))


def _bin(judged: Judged, chosen: np.typing.NDArray[np.bool_]) -> Bin:
    yes = judged.yes[chosen]
    share = float(yes.mean())
    false_yes, missed = (
        float(judged.yes_rate[chosen].mean()),
        float(judged.miss_rate[chosen].mean()),
    )
    telling = 1 - false_yes - missed

    def corrected(share: float) -> float:
        return min(1.0, max(0.0, (share - false_yes) / telling))

    parts = (yes - share) / len(yes)
    found = spread(parts, judged.images[chosen], judged.people[chosen])
    interval = share_interval(share, found)
    error = max(found.error if found else 0.0, math.sqrt(LEAST * (1 - LEAST) / len(yes)))
    return Bin(
        len(yes),
        float(judged.said[chosen].mean()),
        corrected(share),
        (corrected(interval[0]), corrected(interval[1])) if interval else None,
        error / telling,
    )

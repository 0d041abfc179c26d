"""How far a share of answers would move with other images and other participants.

Answers about one image are not independent, nor are those of one participant; both overlap. A figure is
linearised: every answer has a part in it, and the parts add up to nothing. The variance is then that of images
plus that of participants minus that of what both share (Cameron, Gelbach and Miller, Robust inference with
multiway clustering, Journal of Business & Economic Statistics 29, 2011), each times G / (G - 1) for G clusters.
The quantile is Student's t, with the degrees of freedom that the two parts of the variance carry together
(Satterthwaite 1946). A share is set on the scale of log odds, a ratio of two shares on that of logarithms, so
that no end leaves [0, 1].

Drawing whole images and whole participants anew (a bootstrap over both) has the same aim; where few participants
differ little it gives intervals that are too wide, because what is left to chance is drawn three times (Owen, The
pigeonhole bootstrap, Annals of Applied Statistics 1, 2007). `bench/audit_coverage.py` compares the two.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.agreement import LEVEL, NO_WIDTH
from method.student import student_quantile

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]
Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Spread:
    """The standard error of a figure, and the degrees of freedom it rests on."""

    error: float
    freedom: float

    @property
    def reach(self) -> float:
        """How far the 95 % interval reaches to each side, on the scale of the figure."""
        return student_quantile((1 + LEVEL) / 2, self.freedom) * self.error


def spread(parts: Reals, images: Whole, participants: Whole) -> Spread | None:
    """How a figure spreads, from each answer's part in it and who gave it about which image.

    With one participant it speaks about other images only. None for fewer than two images, and where there is no
    spread: an interval of no width would claim a certainty that is not there.
    """
    of_images, num_images = _variance(parts, images)
    if num_images < 2:
        return None
    of_people, num_people = _variance(parts, participants)
    if num_people < 2:
        return _spread(of_images, num_images - 1)
    of_both, _ = _variance(parts, _both(images, participants))
    # What participants add to images: their own leaning, less what chance gives each answer.
    more = max(of_people - of_both, 0.0)
    variance = of_images + more
    shaky = of_images**2 / (num_images - 1)
    if more:
        shaky += of_people**2 / (num_people - 1)
    return _spread(variance, max(variance**2 / shaky, 1.0) if shaky else 1.0)


def variances(parts: Reals, images: Whole, participants: Whole) -> tuple[float, float, float]:
    """The variance of a figure where whole images are drawn, where whole participants are, and where the answers of
    one participant about one image are.
    """
    clusters = images, participants, _both(images, participants)
    of_images, of_people, of_both = (_variance(parts, each)[0] for each in clusters)
    return of_images, of_people, of_both


def _both(images: Whole, participants: Whole) -> Whole:
    return images * (int(participants.max()) + 1) + participants


def _spread(variance: float, freedom: float) -> Spread | None:
    error = math.sqrt(variance)
    return Spread(error, freedom) if error > NO_WIDTH else None


def _variance(parts: Reals, clusters: Whole) -> tuple[float, int]:
    """The variance of the sum of the parts where whole clusters are drawn, and how many there are."""
    index = np.unique(clusters, return_inverse=True)[1]
    sums = np.bincount(index, weights=parts)
    count = len(sums)
    return (float(sums @ sums) * count / (count - 1) if count > 1 else 0.0), count


def share_interval(share: float, found: Spread | None) -> Interval | None:
    """The 95 % interval of a share, on the scale of log odds; None where all answers are the same."""
    if found is None or not 0 < share < 1:
        return None
    middle, reach = math.log(share / (1 - share)), found.reach / (share * (1 - share))
    return _with_width(_expit(middle - reach), _expit(middle + reach))


def rest_interval(rest: float, found: Spread | None) -> Interval | None:
    """The 95 % interval of 1 - `rest`, held within [0, 1], where `rest` is a ratio of two shares; on the scale of
    logarithms.
    """
    if found is None or rest <= 0:
        return None
    reach = found.reach / rest
    low, high = (max(0.0, 1 - rest * math.exp(each)) for each in (min(reach, 700.0), -reach))
    return _with_width(low, high)


def _with_width(low: float, high: float) -> Interval | None:
    return (low, high) if high - low > NO_WIDTH else None


def _expit(x: float) -> float:
    if x < 0:
        power = math.exp(max(x, -700.0))
        return power / (1 + power)
    return 1 / (1 + math.exp(-min(x, 700.0)))


# In words --------------------------------------------------------------------------------------


def decimals(count: int) -> int:
    """How many decimals a percentage of `count` judgements carries: one judgement more or less moves it by
    100 / `count` points, and what is finer than that is no finding.
    """
    return 0 if count < 100 else 1 if count < 1_000 else 2


def in_percent(part: float | None, count: int) -> str:
    """A fraction of `count` judgements as a percentage without its sign, or a dash."""
    return "–" if part is None else f"{100 * part:.{decimals(count)}f}"


def interval_words(interval: Interval | None, count: int) -> str:
    """An interval of such fractions; a dash where both ends would read the same."""
    if interval is None:
        return "–"
    low, high = (in_percent(end, count) for end in interval)
    return "–" if low == high else f"{low} – {high}"

"""The figures of a comparison: how far two runs agree, and how right each is where people said so.

Plain functions on arrays. Precision: of what a run found and somebody was asked about, the share that is there. Recall: of
what people say is there, the share that the run found. Intervals (95 %) take whole images, whose answers are not
independent.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.agreement import LEVEL, NO_WIDTH, Agreement, cohens_kappa, gwets_ac1
from app.comparisons.counting import Counted, Looked
from app.comparisons.verdicts import Verdict
from app.database import Json
from app.intervals import in_percent, interval_words, share_interval, spread
from method.student import student_quantile

Mask = NDArray[np.bool_]
Whole = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Share:
    """`part` of `of` verdicts, and the interval of that share; None where nothing can be said."""

    part: int
    of: int
    low: float | None = None
    high: float | None = None

    @property
    def value(self) -> float | None:
        return self.part / self.of if self.of else None

    @property
    def words(self) -> str:
        """In percent."""
        return in_percent(self.value, self.of)

    @property
    def interval_words(self) -> str:
        """Its interval likewise."""
        found = None if self.low is None or self.high is None else (self.low, self.high)
        return interval_words(found, self.of)


@dataclass(frozen=True, slots=True)
class Coefficient:
    """An agreement beyond chance with its interval; None where nothing can be said."""

    value: float | None
    low: float | None
    high: float | None


NOT_KNOWN = Coefficient(None, None, None)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one side, or of all that both runs looked for. `kappa` is Cohen's, `ac1` is Gwet's."""

    ac1: Coefficient
    kappa: Coefficient
    precision_first: Share
    precision_second: Share
    recall_first: Share
    recall_second: Share

    def as_json(self) -> Json:
        """As the tables keep it."""
        return asdict(self)


def read_figures(kept: Json) -> Figures:
    """What `as_json` wrote."""
    read: dict[str, Any] = {
        name: Coefficient(**said) if name in ("ac1", "kappa") else Share(**said)
        for name, said in kept.items()
    }
    return Figures(**read)


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts as columns, with whether each run found what they are about."""

    images: Whole
    places: Whole
    is_there: Mask
    was_asked: Mask
    of_first: Mask
    of_second: Mask

    def at(self, which: Mask) -> "Judged":
        """Those of some rows."""
        columns = (getattr(self, name)[which] for name in self.__slots__)
        return Judged(*columns)


def judge(verdicts: Sequence[Verdict], looked: Sequence[Looked]) -> Judged:
    """The verdicts about images that both runs looked at."""
    by_image = {each.image_id: each for each in looked}
    rows = [(each, by_image[each.image_id]) for each in verdicts if each.image_id in by_image]
    columns = (
        [each.image_id for each, _ in rows],
        [each.place for each, _ in rows],
        [each.is_there for each, _ in rows],
        [each.was_asked for each, _ in rows],
        [each.place in found.of_first for each, found in rows],
        [each.place in found.of_second for each, found in rows],
    )
    kinds = (np.int64, np.int64, np.bool_, np.bool_, np.bool_, np.bool_)
    return Judged(*(np.array(c, dtype=k) for c, k in zip(columns, kinds, strict=True)))


def side_figures(images: int, counted: Counted, judged: Judged) -> Figures:
    """Of one side, from its counts over all images and the verdicts about it."""
    neither = images - counted.both - counted.only_first - counted.only_second
    table = np.array([counted.both, counted.only_first, counted.only_second, neither], np.float64)
    return _figures(_ac1(table), _kappa(table), judged)


# As `app.agreement` has them, for two runs that say yes or no: of a million images there are four kinds, and each kind is
# looked at once. In this order: both say yes, the first alone, the second alone, neither.
_FIRST, _SECOND = np.array([1.0, 1.0, 0.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0])
_SAME = np.array([1.0, 0.0, 0.0, 1.0])


def _ac1(table: Reals) -> Coefficient:
    """Gwet's AC1 of so many images of each kind."""
    if not table.sum():
        return NOT_KNOWN
    share = _FIRST + _SECOND
    yes = float(table @ share) / (2 * table.sum())
    by_chance = share / 2 * (1 - yes) + (1 - share / 2) * yes
    return _from_table(table, by_chance, 2 * yes * (1 - yes))


def _kappa(table: Reals) -> Coefficient:
    """Cohen's kappa of so many images of each kind."""
    if not table.sum():
        return NOT_KNOWN
    first, second = (float(table @ each) / table.sum() for each in (_FIRST, _SECOND))
    of_first = np.where(_FIRST == 1, second, 1 - second)
    of_second = np.where(_SECOND == 1, first, 1 - first)
    expected = first * second + (1 - first) * (1 - second)
    return _from_table(table, (of_first + of_second) / 2, expected)


def _from_table(table: Reals, by_chance: Reals, expected: float) -> Coefficient:
    """The coefficient and its interval, from what chance gives each kind; its mean is `expected`."""
    number = table.sum()
    if expected >= 1 - NO_WIDTH:
        return NOT_KNOWN
    value = (float(table @ _SAME) / number - expected) / (1 - expected)
    parts = (_SAME - expected - 2 * (1 - value) * (by_chance - expected)) / (1 - expected)
    off = parts - table @ parts / number
    error = math.sqrt(float(table @ off**2) / (number * (number - 1))) if number > 1 else 0.0
    if error <= NO_WIDTH:
        return Coefficient(value, None, None)
    reach = student_quantile((1 + LEVEL) / 2, number - 1) * error
    return Coefficient(value, max(-1.0, value - reach), min(1.0, value + reach))


def overall_figures(sample: Sequence[Looked], places: Sequence[int], judged: Judged) -> Figures:
    """Of all sides that both looked for (`places`), the agreement from a sample of images."""
    asked = list(places)
    first, second = (
        np.array([[p in found for p in asked] for found in rows], dtype=np.bool_).reshape(-1)
        for rows in ([e.of_first for e in sample], [e.of_second for e in sample])
    )
    clusters = np.repeat(np.arange(len(sample)), len(asked))
    yes = first.astype(np.int64) + second
    ac1 = kappa = NOT_KNOWN
    if len(first):
        ac1 = _coefficient(gwets_ac1(np.stack([yes, 2 - yes], axis=1), clusters=clusters))
        kappa = _coefficient(cohens_kappa(first, second, clusters=clusters))
    return _figures(ac1, kappa, judged.at(np.isin(judged.places, asked)))


def _figures(ac1: Coefficient, kappa: Coefficient, judged: Judged) -> Figures:
    found = (judged.of_first, judged.of_second)
    precision = (_share(judged, each & judged.was_asked, judged.is_there) for each in found)
    recall = (_share(judged, judged.is_there, each) for each in found)
    return Figures(ac1, kappa, *precision, *recall)


def _share(judged: Judged, among: Mask, hit: Mask) -> Share:
    """Of the verdicts among those, the share that hits."""
    of = int(among.sum())
    if not of:
        return Share(0, 0)
    hits = hit[among]
    part = int(hits.sum())
    images = judged.images[among]
    interval = share_interval(
        part / of, spread((hits - part / of) / of, images, np.zeros_like(images))
    )
    return Share(part, of, *(interval or (None, None)))


def _coefficient(found: Agreement) -> Coefficient:
    low, high = found.interval or (None, None)
    return Coefficient(found.value, low, high)

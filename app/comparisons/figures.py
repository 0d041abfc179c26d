"""The figures of a comparison: how far two runs agree, and how right each is where people said so.

Plain functions on arrays. Precision: of what a run found and somebody was asked about, the share that is there. Recall: of
what people say is there, the share that the run found. Intervals (95 %) take whole images, whose answers are not
independent.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.agreement import Agreement, cohens_kappa, gwets_ac1
from app.comparisons.counting import Counted, Looked
from app.comparisons.verdicts import Verdict
from app.database import Json
from app.intervals import in_percent, interval_words, share_interval, spread

Mask = NDArray[np.bool_]
Whole = NDArray[np.int64]


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
    one_alone = counted.only_first + counted.only_second
    neither = images - counted.both - one_alone
    sizes = (counted.both, one_alone, neither)
    counts = np.repeat(np.array([[2, 0], [1, 1], [0, 2]]), sizes, axis=0)
    ac1 = _coefficient(gwets_ac1(counts)) if images else Coefficient(None, None, None)
    four = (counted.both, counted.only_first, counted.only_second, neither)
    first = np.repeat([True, True, False, False], four)
    second = np.repeat([True, False, True, False], four)
    return _figures(ac1, _coefficient(cohens_kappa(first, second)), judged)


def overall_figures(sample: Sequence[Looked], places: Sequence[int], judged: Judged) -> Figures:
    """Of all sides that both looked for (`places`), the agreement from a sample of images."""
    asked = list(places)
    first, second = (
        np.array([[p in found for p in asked] for found in rows], dtype=np.bool_).reshape(-1)
        for rows in ([e.of_first for e in sample], [e.of_second for e in sample])
    )
    clusters = np.repeat(np.arange(len(sample)), len(asked))
    yes = first.astype(np.int64) + second
    ac1, kappa = Coefficient(None, None, None), Coefficient(None, None, None)
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

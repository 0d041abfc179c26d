"""How accurate the agent's labels are, as participants judged them.

Definitions, for any set of items (a root dimension, a polarity, all):

* accuracy, the figure of the paper's Table S5 (Eq. S23, actual occurrences / occurrences in
  annotations), pooled over judgements: appears / (appears + does not appear). "Cannot tell" is no
  verdict about the label, so it is left out of the fraction and counted beside it.
* majority accuracy: of the items on which more participants said one thing than the other, the share
  where "appears" won. Ties are left out and counted.
* agreement: of all pairs of participants who both decided about the same item, the share who said the
  same.
* interval: 95 % percentile interval of the accuracy by a bootstrap over images. The labels of one image
  are judged together and are not independent, so whole images are drawn, with all their judgements.
  It says how the figure would move with other images, not with other participants.

Everything here is a pure function of `Tally` rows: one row per item with its three counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Whole = NDArray[np.int64]

REPLICATES = 2_000
LEVEL = 0.95
# Draws of one batch, so that a thousand images need no more than some 16 MB at a time.
BATCH = 1_000_000
NO_WIDTH = 1e-9


@dataclass(frozen=True, slots=True)
class Tally:
    """The judgements of one item, counted."""

    image_id: int
    root_key: str
    polarity: str
    appears: int
    does_not_appear: int
    cannot_tell: int


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the results. Fractions are in [0, 1]; None where there is nothing to divide by.

    `items` and `images` count those with at least one judgement. `interval` is None for fewer than
    two images, where every judgement is the same, and where the draws give one figure only: then there
    is no spread to draw from, and an interval of no width would claim a certainty that is not there.
    """

    items: int
    images: int
    judgements: int
    appears: int
    does_not_appear: int
    cannot_tell: int
    accuracy: float | None
    interval: tuple[float, float] | None
    majority_accuracy: float | None
    majority_items: int
    ties: int
    agreement: float | None

    @property
    def accuracy_words(self) -> str:
        """The accuracy in percent, with the decimals that the judgements carry."""
        return in_percent(self.accuracy, self.appears + self.does_not_appear)

    @property
    def interval_words(self) -> str:
        """The interval likewise; a dash where both ends would read the same."""
        if self.interval is None:
            return "–"
        count = self.appears + self.does_not_appear
        low, high = (in_percent(end, count) for end in self.interval)
        return "–" if low == high else f"{low} – {high}"

    @property
    def majority_words(self) -> str:
        """The majority accuracy in percent, with the decimals that its labels carry."""
        return in_percent(self.majority_accuracy, self.majority_items)

    @property
    def cannot_tell_share(self) -> float | None:
        """The share of judgements that are "cannot tell"."""
        return _share(self.cannot_tell, self.judgements)


def score(tallies: Sequence[Tally], *, seed: int) -> Score:
    """The figures of a set of items. The order of the rows does not matter; the seed fixes the draws."""
    judged = [each for each in tallies if each.appears + each.does_not_appear + each.cannot_tell]
    yes = np.array([each.appears for each in judged], dtype=np.int64)
    no = np.array([each.does_not_appear for each in judged], dtype=np.int64)
    images = np.array([each.image_id for each in judged], dtype=np.int64)
    unsure = sum(each.cannot_tell for each in judged)
    appears, does_not_appear = int(yes.sum()), int(no.sum())
    won, lost = int((yes > no).sum()), int((yes < no).sum())
    return Score(
        items=len(judged),
        images=len(np.unique(images)),
        judgements=appears + does_not_appear + unsure,
        appears=appears,
        does_not_appear=does_not_appear,
        cannot_tell=unsure,
        accuracy=_share(appears, appears + does_not_appear),
        interval=bootstrap_interval(images, yes, no, seed=seed),
        majority_accuracy=_share(won, won + lost),
        majority_items=won + lost,
        ties=int(((yes == no) & (yes > 0)).sum()),
        agreement=_agreement(yes, no),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _pairs(count: Whole) -> Whole:
    return count * (count - 1) // 2


def _agreement(yes: Whole, no: Whole) -> float | None:
    same, all_pairs = _pairs(yes) + _pairs(no), _pairs(yes + no)
    return _share(int(same.sum()), int(all_pairs.sum()))


def bootstrap_interval(
    images: Whole, yes: Whole, no: Whole, *, seed: int
) -> tuple[float, float] | None:
    """95 % percentile interval of sum(yes) / sum(yes + no) over resampled images.

    Arguments are rows of equal length: image id, and counts. Rows without a verdict change nothing.
    """
    decided = yes + no > 0
    clusters, index = np.unique(images[decided], return_inverse=True)
    count = len(clusters)
    hits = np.bincount(index, weights=yes[decided], minlength=count)
    total = np.bincount(index, weights=(yes + no)[decided], minlength=count)
    if count < 2 or hits.sum() in (0, total.sum()):
        return None
    random = np.random.default_rng(seed)
    drawn: list[NDArray[np.float64]] = []
    size = max(1, BATCH // count)
    for start in range(0, REPLICATES, size):
        rows = random.integers(count, size=(min(size, REPLICATES - start), count))
        drawn.append(hits[rows].sum(axis=1) / total[rows].sum(axis=1))
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(np.concatenate(drawn), (tail, 1 - tail))
    # Images that all say the same fraction leave nothing to draw, however many judgements they hold.
    return (float(low), float(high)) if high - low > NO_WIDTH else None


def decimals(count: int) -> int:
    """How many decimals a percentage of `count` judgements carries: one judgement more or less moves it by
    100 / `count` points, and what is finer than that is no finding.
    """
    return 0 if count < 100 else 1 if count < 1_000 else 2


def in_percent(part: float | None, count: int) -> str:
    """A fraction of `count` judgements as a percentage without its sign, or a dash."""
    return "–" if part is None else f"{100 * part:.{decimals(count)}f}"

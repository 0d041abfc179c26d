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
* yes to decoys: of the decisions about decoys (attributes that the agent did not give, see `decoys`), the
  share that say "appears". It bounds how readily participants say yes to what is not there; a decoy that
  is there after all makes it larger.
* corrected accuracy: accuracy a and yes to decoys d of the same set of items give (a - d) / (1 - d), held
  within [0, 1]: the share of labels that hold, if participants see what is there and say yes to d of what
  is not. Its interval draws whole images likewise, with their decoys.

Everything here is a pure function of `Tally` rows: one row per item with its three counts.
"""

from collections.abc import Iterator, Sequence
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
    kind: str = "label"


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
    decoys_decided: int
    decoys_appear: int
    corrected: float | None
    corrected_interval: tuple[float, float] | None

    @property
    def yes_to_decoys(self) -> float | None:
        """The share of decoys that "appear"."""
        return _share(self.decoys_appear, self.decoys_decided)

    @property
    def corrected_words(self) -> str:
        """The corrected accuracy in percent, with the decimals that labels and decoys both carry."""
        return in_percent(self.corrected, self._least_decided)

    @property
    def corrected_interval_words(self) -> str:
        """Its interval likewise; a dash where both ends would read the same."""
        return _interval_words(self.corrected_interval, self._least_decided)

    @property
    def yes_to_decoys_words(self) -> str:
        """The share of decoys that "appear" in percent."""
        return in_percent(self.yes_to_decoys, self.decoys_decided)

    @property
    def _least_decided(self) -> int:
        return min(self.appears + self.does_not_appear, self.decoys_decided)

    @property
    def accuracy_words(self) -> str:
        """The accuracy in percent, with the decimals that the judgements carry."""
        return in_percent(self.accuracy, self.appears + self.does_not_appear)

    @property
    def interval_words(self) -> str:
        """The interval likewise; a dash where both ends would read the same."""
        return _interval_words(self.interval, self.appears + self.does_not_appear)

    @property
    def majority_words(self) -> str:
        """The majority accuracy in percent, with the decimals that its labels carry."""
        return in_percent(self.majority_accuracy, self.majority_items)

    @property
    def cannot_tell_share(self) -> float | None:
        return _share(self.cannot_tell, self.judgements)


def score(tallies: Sequence[Tally], *, seed: int) -> Score:
    """The figures of a set of items. The order of the rows does not matter; the seed fixes the draws."""
    labels, decoys = (_count(tallies, kind) for kind in ("label", "decoy"))
    yes, no = labels.yes, labels.no
    appears, does_not_appear = int(yes.sum()), int(no.sum())
    won, lost = int((yes > no).sum()), int((yes < no).sum())
    accuracy = _share(appears, appears + does_not_appear)
    decoys_appear, decoys_decided = int(decoys.yes.sum()), int((decoys.yes + decoys.no).sum())
    return Score(
        items=len(yes),
        images=len(np.unique(labels.images)),
        judgements=appears + does_not_appear + labels.unsure,
        appears=appears,
        does_not_appear=does_not_appear,
        cannot_tell=labels.unsure,
        accuracy=accuracy,
        interval=bootstrap_interval(labels.images, yes, no, seed=seed),
        majority_accuracy=_share(won, won + lost),
        majority_items=won + lost,
        ties=int(((yes == no) & (yes > 0)).sum()),
        agreement=_agreement(yes, no),
        decoys_decided=decoys_decided,
        decoys_appear=decoys_appear,
        corrected=_corrected(accuracy, _share(decoys_appear, decoys_decided)),
        corrected_interval=_corrected_interval(labels, decoys, seed=seed),
    )


@dataclass(frozen=True, slots=True)
class _Counts:
    """The judged items of one kind as columns, and how many answers are "cannot tell"."""

    images: Whole
    yes: Whole
    no: Whole
    unsure: int


def _count(tallies: Sequence[Tally], kind: str) -> _Counts:
    judged = [
        each
        for each in tallies
        if each.kind == kind and each.appears + each.does_not_appear + each.cannot_tell
    ]
    return _Counts(
        images=np.array([each.image_id for each in judged], dtype=np.int64),
        yes=np.array([each.appears for each in judged], dtype=np.int64),
        no=np.array([each.does_not_appear for each in judged], dtype=np.int64),
        unsure=sum(each.cannot_tell for each in judged),
    )


def _corrected(accuracy: float | None, yes_to_decoys: float | None) -> float | None:
    if accuracy is None or yes_to_decoys is None or yes_to_decoys >= 1:
        return None
    return min(1.0, max(0.0, (accuracy - yes_to_decoys) / (1 - yes_to_decoys)))


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
    shares = np.concatenate(
        [hits[rows].sum(axis=1) / total[rows].sum(axis=1) for rows in _draws(count, seed)]
    )
    return _middle(shares)


def _draws(count: int, seed: int) -> Iterator[Whole]:
    """Which of `count` images each replicate draws, some replicates at a time."""
    random = np.random.default_rng(seed)
    size = max(1, BATCH // count)
    for start in range(0, REPLICATES, size):
        yield random.integers(count, size=(min(size, REPLICATES - start), count))


def _middle(shares: NDArray[np.float64]) -> tuple[float, float] | None:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(shares, (tail, 1 - tail))
    # Images that all say the same fraction leave nothing to draw, however many judgements they hold.
    return (float(low), float(high)) if high - low > NO_WIDTH else None


def _corrected_interval(
    labels: _Counts, decoys: _Counts, *, seed: int
) -> tuple[float, float] | None:
    """95 % percentile interval of the corrected accuracy over resampled images."""
    clusters, index = np.unique(np.concatenate([labels.images, decoys.images]), return_inverse=True)
    count = len(clusters)
    if count < 2 or not (decoys.yes + decoys.no).sum():
        return None
    here, there = index[: len(labels.images)], index[len(labels.images) :]
    columns = [
        np.bincount(at, weights=weights, minlength=count)
        for at, weights in (
            (here, labels.yes),
            (here, labels.yes + labels.no),
            (there, decoys.yes),
            (there, decoys.yes + decoys.no),
        )
    ]
    drawn: list[NDArray[np.float64]] = []
    for rows in _draws(count, seed):
        hits, total, false, decided = (column[rows].sum(axis=1) for column in columns)
        # A draw without an answer, or with nothing but yes to decoys, has no corrected accuracy.
        kept = (total > 0) & (false < decided)
        rate = false[kept] / decided[kept]
        drawn.append(np.clip((hits[kept] / total[kept] - rate) / (1 - rate), 0, 1))
    shares = np.concatenate(drawn)
    return _middle(shares) if len(shares) >= LEVEL * REPLICATES else None


def decimals(count: int) -> int:
    """How many decimals a percentage of `count` judgements carries: one judgement more or less moves it by
    100 / `count` points, and what is finer than that is no finding.
    """
    return 0 if count < 100 else 1 if count < 1_000 else 2


def in_percent(part: float | None, count: int) -> str:
    """A fraction of `count` judgements as a percentage without its sign, or a dash."""
    return "–" if part is None else f"{100 * part:.{decimals(count)}f}"


def _interval_words(interval: tuple[float, float] | None, count: int) -> str:
    if interval is None:
        return "–"
    low, high = (in_percent(end, count) for end in interval)
    return "–" if low == high else f"{low} – {high}"

"""How accurate the agent's labels are, as participants judged them.

Definitions, for any set of answers (about a root dimension, a polarity, an attribute, all):

* accuracy, the figure of the paper's Table S5 (Eq. S23, actual occurrences / occurrences in
  annotations), pooled over answers: appears / (appears + does not appear). "Cannot tell" is no
  verdict about the label, so it is left out of the fraction and counted beside it.
* majority accuracy: of the labels on which more participants said one thing than the other, the share
  where "appears" won. Ties are left out and counted.
* by participant: each participant's own accuracy; their mean, the lowest and the highest.
* agreement: of all pairs of participants who both decided about the same label, the share who said the
  same; and, corrected for chance, Krippendorff's alpha, Fleiss' kappa and Gwet's AC1 (`app.agreement`).
* intervals: 95 %, over images and participants together (`intervals`); of the majority and of agreement over
  images, because participants are no units of theirs.
* yes to decoys: of the decisions about decoys (attributes that the agent did not give, see `decoys`), the
  share that say "appears". It bounds how readily participants say yes to what is not there; a decoy that
  is there after all makes it larger.
* corrected accuracy: accuracy a and yes to decoys d of the same set give (a - d) / (1 - d), held
  within [0, 1]: the share of labels that hold, if participants see what is there and say yes to d of what
  is not.
* seconds: the median time from one answer of a participant to the next, pauses left out.

Everything here is a pure function of `Answers`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.agreement import Agreement, fleiss_kappa, gwets_ac1, krippendorffs_alpha
from app.intervals import (
    Interval,
    Reals,
    Whole,
    in_percent,
    interval_words,
    rest_interval,
    share_interval,
    spread,
)

NO, YES, UNSURE = 0, 1, 2
CODES = {"does_not_appear": NO, "appears": YES, "cannot_tell": UNSURE}
PAUSE = 300.0
"""Seconds after which somebody has not looked at one question but left."""


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers as columns of equal length, a row for each: the image, the participant, the item, what was said
    (NO, YES or UNSURE), whether the item is a decoy, and the seconds since the participant's answer before (nan
    where there is none, or a pause).
    """

    images: Whole
    participants: Whole
    items: Whole
    said: Whole
    decoys: NDArray[np.bool_]
    seconds: Reals

    def __len__(self) -> int:
        return len(self.said)

    def where(self, mask: NDArray[np.bool_]) -> "Answers":
        """Only these rows."""
        return Answers(*(getattr(self, each.name)[mask] for each in fields(self)))


@dataclass(frozen=True, slots=True)
class Score:
    """One row of the results. Fractions are in [0, 1]; None where there is nothing to divide by.

    `items`, `images` and `participants` count those with at least one answer about a label. An interval is None
    for fewer than two images, and where every answer is the same: then nothing tells how far it would move.
    """

    items: int
    images: int
    participants: int
    judgements: int
    appears: int
    does_not_appear: int
    cannot_tell: int
    accuracy: float | None
    interval: Interval | None
    majority_accuracy: float | None
    majority_interval: Interval | None
    majority_items: int
    ties: int
    participant_mean: float | None
    participant_range: Interval | None
    agreement: float | None
    alpha: Agreement
    kappa: Agreement
    ac1: Agreement
    decoys_decided: int
    decoys_appear: int
    decoys_interval: Interval | None
    corrected: float | None
    corrected_interval: Interval | None
    seconds: float | None

    @property
    def decided(self) -> int:
        """Answers that decide: appears, or does not."""
        return self.appears + self.does_not_appear

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
        return interval_words(self.corrected_interval, self._least_decided)

    @property
    def yes_to_decoys_words(self) -> str:
        """The share of decoys that "appear" in percent."""
        return in_percent(self.yes_to_decoys, self.decoys_decided)

    @property
    def _least_decided(self) -> int:
        return min(self.decided, self.decoys_decided)

    @property
    def accuracy_words(self) -> str:
        """The accuracy in percent, with the decimals that the judgements carry."""
        return in_percent(self.accuracy, self.decided)

    @property
    def interval_words(self) -> str:
        """The interval likewise; a dash where both ends would read the same."""
        return interval_words(self.interval, self.decided)

    @property
    def majority_words(self) -> str:
        """The majority accuracy in percent, with the decimals that its labels carry."""
        return in_percent(self.majority_accuracy, self.majority_items)

    @property
    def refuted(self) -> int:
        """Labels that more participants refuted than confirmed."""
        return round(self.majority_items * (1 - (self.majority_accuracy or 0.0)))

    @property
    def participant_words(self) -> str:
        """The mean of the participants' own accuracies in percent, with the lowest and the highest."""
        if self.participant_range is None:
            return "–"
        each = self.decided // self.participants
        low, high = (in_percent(end, each) for end in self.participant_range)
        mean = in_percent(self.participant_mean, self.decided)
        return mean if low == high else f"{mean} ({low} to {high})"

    @property
    def agreement_words(self) -> str:
        """The share of pairs of participants who said the same, in percent."""
        return in_percent(self.agreement, self.decided)

    @property
    def cannot_tell_share(self) -> float | None:
        return _share(self.cannot_tell, self.judgements)


def score(answers: Answers) -> Score:
    """The figures of a set of answers. The order of the rows does not matter."""
    labels, decoys = answers.where(~answers.decoys), answers.where(answers.decoys)
    decided, decoys_decided = _decided(labels), _decided(decoys)
    appears, decoys_appear = int(decided.said.sum()), int(decoys_decided.said.sum())
    accuracy = _share(appears, len(decided))
    yes_to_decoys = _share(decoys_appear, len(decoys_decided))
    table = _by_item(decided)
    majority, people = _majority(table), _by_participant(decided)
    return Score(
        items=len(np.unique(labels.items)),
        images=len(np.unique(labels.images)),
        participants=len(np.unique(labels.participants)),
        judgements=len(labels),
        appears=appears,
        does_not_appear=len(decided) - appears,
        cannot_tell=len(labels) - len(decided),
        accuracy=accuracy,
        interval=_interval(decided, accuracy),
        majority_accuracy=majority.share,
        majority_interval=majority.interval,
        majority_items=majority.items,
        ties=len(table.images) - majority.items,
        participant_mean=float(people.mean()) if len(people) else None,
        participant_range=(float(people.min()), float(people.max())) if len(people) else None,
        agreement=_agreement(table.counts),
        alpha=krippendorffs_alpha(table.counts, clusters=table.images),
        kappa=fleiss_kappa(table.counts, clusters=table.images),
        ac1=gwets_ac1(table.counts, clusters=table.images),
        decoys_decided=len(decoys_decided),
        decoys_appear=decoys_appear,
        decoys_interval=_interval(decoys_decided, yes_to_decoys),
        corrected=_corrected(accuracy, yes_to_decoys),
        corrected_interval=_corrected_interval(decided, decoys_decided, accuracy, yes_to_decoys),
        seconds=_median(labels.seconds),
    )


def _decided(answers: Answers) -> Answers:
    return answers.where(answers.said != UNSURE)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _median(seconds: Reals) -> float | None:
    known = seconds[~np.isnan(seconds)]
    return float(np.median(known)) if len(known) else None


def _interval(decided: Answers, share: float | None) -> Interval | None:
    if share is None:
        return None
    parts = (decided.said - share) / len(decided)
    return share_interval(share, spread(parts, decided.images, decided.participants))


# Items and participants ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Items:
    """Of each item with a verdict: its image, and how many said no and yes."""

    images: Whole
    counts: Whole


def _by_item(decided: Answers) -> _Items:
    _, first, index = np.unique(decided.items, return_index=True, return_inverse=True)
    counts = np.bincount(2 * index + decided.said, minlength=2 * len(first)).reshape(-1, 2)
    return _Items(decided.images[first], counts)


@dataclass(frozen=True, slots=True)
class _Majority:
    share: float | None
    interval: Interval | None
    items: int


def _majority(items: _Items) -> _Majority:
    no, yes = items.counts[:, NO], items.counts[:, YES]
    clear = no != yes
    won = (yes > no)[clear]
    share = _share(int(won.sum()), len(won))
    interval = None
    if share is not None:
        images = items.images[clear]
        # An item has one majority: participants are no units here, as if one had said it.
        found = spread((won - share) / len(won), images, np.zeros(len(images), dtype=np.int64))
        interval = share_interval(share, found)
    return _Majority(share, interval, len(won))


def _by_participant(decided: Answers) -> Reals:
    """Each participant's own accuracy, in no order that tells who they are."""
    index = np.unique(decided.participants, return_inverse=True)[1]
    shares: Reals = np.bincount(index, weights=decided.said) / np.bincount(index)
    return np.sort(shares)


def _agreement(counts: Whole) -> float | None:
    people = counts.sum(axis=1)
    same, all_pairs = (counts * (counts - 1)).sum(), (people * (people - 1)).sum()
    return _share(int(same), int(all_pairs))


# Decoys ----------------------------------------------------------------------------------------


def _corrected(accuracy: float | None, yes_to_decoys: float | None) -> float | None:
    if accuracy is None or yes_to_decoys is None or yes_to_decoys >= 1:
        return None
    return min(1.0, max(0.0, (accuracy - yes_to_decoys) / (1 - yes_to_decoys)))


def _corrected_interval(
    labels: Answers, decoys: Answers, accuracy: float | None, yes_to_decoys: float | None
) -> Interval | None:
    """Of 1 - (1 - accuracy) / (1 - yes to decoys), both over the same images and participants."""
    if accuracy is None or yes_to_decoys is None or yes_to_decoys >= 1:
        return None
    rest = (1 - accuracy) / (1 - yes_to_decoys)
    parts = np.concatenate(
        [
            -(labels.said - accuracy) / len(labels),
            rest * (decoys.said - yes_to_decoys) / len(decoys),
        ]
    ) / (1 - yes_to_decoys)
    images = np.concatenate([labels.images, decoys.images])
    participants = np.concatenate([labels.participants, decoys.participants])
    return rest_interval(rest, spread(parts, images, participants))


# Reading answers -------------------------------------------------------------------------------


def gather(rows: Iterable[Sequence[Any]]) -> Answers:
    """Rows of image, participant, item, answer, whether a decoy, and when (in seconds), as columns."""
    columns = list(zip(*rows, strict=True)) or [()] * 6
    images, participants, items = (np.array(each, dtype=np.int64) for each in columns[:3])
    said = np.array([CODES[each] for each in columns[3]], dtype=np.int64)
    at = np.array(columns[5], dtype=np.float64)
    return Answers(
        images,
        participants,
        items,
        said,
        np.array(columns[4], dtype=np.bool_),
        _gaps(participants, at),
    )


def _gaps(participants: Whole, at: Reals) -> Reals:
    """The seconds between one answer of a participant and the one before."""
    gaps = np.full(len(at), np.nan)
    order = np.lexsort((at, participants))
    same = np.diff(participants[order]) == 0
    between = np.diff(at[order])
    gaps[order[1:]] = np.where(same & (between <= PAUSE), between, np.nan)
    return gaps

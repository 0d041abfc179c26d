"""What answers say of two models: how often each is preferred, how sure that is, and how alike people answer.

A tie counts as half a preference for each, so that the two shares of a row add up to 100 %.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.agreement import Agreement, gwets_ac1, krippendorffs_alpha
from app.intervals import (
    Interval,
    in_percent,
    interval_words,
    share_interval,
    spread,
)
from app.studies.answers import Answers
from app.studies.significance import holm, sign_flip_test, sign_test

Reals = NDArray[np.float64]
PAUSE = 300.0
"""Seconds after which somebody was away; such gaps say nothing about how long an answer takes."""


@dataclass(frozen=True, slots=True)
class Preference:
    """How often a model was preferred to another one.

    `share` is that of all answers, a tie being half, with its 95 % interval over other pairs and other participants. Of
    each pair the participants' answers are added up: `pairs_won` and `pairs_lost` are those where more preferred the
    one or the other, `p_pairs` the sign test on them. `p_people` turns the signs of whole participants. The `holm_` ones
    are corrected for the dimensions that are tested together.
    """

    answers: int
    wins: int
    losses: int
    ties: int
    pairs: int
    people: int
    share: float | None
    interval: Interval | None
    pairs_won: int
    pairs_lost: int
    p_pairs: float | None
    p_people: float | None
    ac1: Agreement
    alpha: Agreement
    holm_pairs: float | None = None
    holm_people: float | None = None

    @property
    def share_words(self) -> str:
        """The share in percent, with the decimals that the answers carry."""
        return in_percent(self.share, self.answers)

    @property
    def other_words(self) -> str:
        """The other model's share in percent; both add up to 100 as they are written."""
        return in_percent(None if self.share is None else 1 - self.share, self.answers)

    @property
    def interval_words(self) -> str:
        """The interval in percent."""
        return interval_words(self.interval, self.answers)

    @property
    def ties_words(self) -> str:
        """The share of ties in percent."""
        return in_percent(self.ties / self.answers if self.answers else None, self.answers)


def prefer(answers: Answers) -> Preference:
    """How often the first model of these answers is preferred to the second; all have the same two."""
    number = len(answers)
    share = float(answers.won.mean()) if number else None
    interval = None
    if share is not None:
        parts = (answers.won - share) / number
        interval = share_interval(share, spread(parts, answers.pairs, answers.people))
    leaning = _means(answers.won - 0.5, answers.pairs)
    won, lost = int((leaning > 1e-12).sum()), int((leaning < -1e-12).sum())
    ac1, alpha = _agreement(answers)
    return Preference(
        answers=number,
        wins=int((answers.won == 1).sum()),
        losses=int((answers.won == 0).sum()),
        ties=int((answers.won == 0.5).sum()),
        pairs=len(np.unique(answers.pairs)),
        people=len(np.unique(answers.people)),
        share=share,
        interval=interval,
        pairs_won=won,
        pairs_lost=lost,
        p_pairs=sign_test(won, lost),
        p_people=sign_flip_test(_means(answers.won - 0.5, answers.people)),
        ac1=ac1,
        alpha=alpha,
    )


def prefer_by_dimension(answers: Answers, dimensions: int) -> list[Preference]:
    """The same for each dimension, with the tests corrected for there being several."""
    found = [prefer(answers.where(answers.dimensions == each)) for each in range(dimensions)]
    pairs = holm([each.p_pairs for each in found])
    people = holm([each.p_people for each in found])
    return [
        replace(each, holm_pairs=one, holm_people=other)
        for each, one, other in zip(found, pairs, people, strict=True)
    ]


def _means(values: Reals, groups: NDArray[np.int64]) -> Reals:
    """The mean of the values of each group."""
    index, sizes = np.unique(groups, return_inverse=True, return_counts=True)[1:]
    means: Reals = np.bincount(index, weights=values) / sizes if len(values) else np.zeros(0)
    return means


def _agreement(answers: Answers) -> tuple[Agreement, Agreement]:
    """How alike participants answered the same questions, less what chance would give; intervals over pairs."""
    items = answers.pairs * 1_000 + answers.dimensions
    known, index = np.unique(items, return_inverse=True)
    counts = np.zeros((len(known), 3))
    np.add.at(counts, (index, np.rint(2 * answers.won).astype(np.int64)), 1)
    clusters = known // 1_000
    return gwets_ac1(counts, clusters=clusters), krippendorffs_alpha(counts, clusters=clusters)


# Each participant ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Consistency:
    """How one participant answered, named by the code: which share of repeated pairs was answered the same, of identical
    ones as a tie, of decided answers like most of the others', and of decided answers for the image on the left.
    """

    code: str
    answers: int
    ties: float | None
    same_again: float | None
    repeated: int
    ties_of_identical: float | None
    identical: int
    like_others: float | None
    left: float | None
    seconds: float | None


def consistency(answers: Answers) -> list[Consistency]:
    """How each participant answered, in the order of the codes."""
    majority = _like_others(answers)
    return [
        _of_one(str(code), answers.where(answers.codes == code), majority[answers.codes == code])
        for code in np.unique(answers.codes)
    ]


def _of_one(code: str, own: Answers, like_others: Reals) -> Consistency:
    pairs = own.where(own.kinds == "pair")
    decided = pairs.where(pairs.won != 0.5)
    again = _same_again(own)
    identical = own.won[own.kinds == "identical"] == 0.5
    gaps = np.diff(np.sort(own.at))
    gaps = gaps[gaps <= PAUSE]
    return Consistency(
        code=code,
        answers=len(own),
        ties=_mean(pairs.won == 0.5),
        same_again=_mean(again),
        repeated=len(again),
        ties_of_identical=_mean(identical),
        identical=len(identical),
        like_others=_mean(like_others[~np.isnan(like_others)]),
        left=_mean((decided.won == 1) == decided.left),
        seconds=float(np.median(gaps)) if len(gaps) else None,
    )


def _mean(values: NDArray[np.bool_] | Reals) -> float | None:
    return float(values.mean()) if len(values) else None


def _same_again(own: Answers) -> NDArray[np.bool_]:
    """Of each answer about a repeated pair whether it is the one that was given before."""
    before = {
        (int(pair), int(dimension)): float(won)
        for pair, dimension, won in zip(own.pairs, own.dimensions, own.won, strict=True)
    }
    again = own.where(own.repeats > 0)
    keys = zip(again.repeats, again.dimensions, again.won, strict=True)
    same = [
        before[int(pair), int(dimension)] == won
        for pair, dimension, won in keys
        if (int(pair), int(dimension)) in before
    ]
    return np.array(same, dtype=np.bool_)


def _like_others(answers: Answers) -> Reals:
    """Of each decided answer about a pair that counts whether most of the others who decided said the same; no number
    where that cannot be told.
    """
    decided = (answers.kinds == "pair") & (answers.won != 0.5)
    index = np.unique(answers.pairs * 1_000 + answers.dimensions, return_inverse=True)[1]
    sign = np.where(decided, np.sign(answers.won - 0.5), 0.0)
    total = np.bincount(index, weights=sign) if len(sign) else np.zeros(0)
    others = total[index] - sign if len(sign) else sign
    told = decided & (others != 0)
    like: Reals = np.where(told, (np.sign(others) == sign).astype(np.float64), np.nan)
    return like


@dataclass(frozen=True, slots=True)
class Sides:
    """Of the decided answers about pairs that count, the share for the image on the left, with its interval."""

    decided: int
    share: float | None
    interval: Interval | None

    @property
    def share_words(self) -> str:
        """The share in percent."""
        return in_percent(self.share, self.decided)

    @property
    def interval_words(self) -> str:
        """The interval in percent."""
        return interval_words(self.interval, self.decided)


def lean_left(answers: Answers) -> Sides:
    """Whether participants preferred a side, whatever stood there."""
    decided = answers.where((answers.kinds == "pair") & (answers.won != 0.5))
    if not len(decided):
        return Sides(0, None, None)
    chose_left = ((decided.won == 1) == decided.left).astype(np.float64)
    share = float(chose_left.mean())
    around = spread((chose_left - share) / len(decided), decided.pairs, decided.people)
    return Sides(len(decided), share, share_interval(share, around))

"""What is known of those who answered: how readily they say yes to what is not there, and no to what is.

Nobody's answers are the truth. How often somebody says yes to what is not there is measured by decoys, and by labels
that three people judged. How often they say no to what is there no decoy tells: it is estimated where several people
answered about the same label, and taken to be nothing where nobody did. Everything here is a pure function.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]

# Somebody with few decoys is taken to be like the others, as if that many more decoys had been answered so.
AS_THE_OTHERS = 10.0
# Fewer labels that several people judged tell too little of how often people miss what is there.
LEAST_JUDGED_TWICE = 50
LEAST, MOST, MOST_MISSED = 0.005, 0.99, 0.45
ROUNDS = 2000
CLOSE = 1e-6


@dataclass(frozen=True, slots=True)
class Rates:
    """How often somebody says yes to what is not there (`yes`), and no to what is (`miss`); both in [0, 1]. Together they
    are at most 1: then an answer tells nothing, and it never tells the opposite of what it says.
    """

    yes: float = 0.0
    miss: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "miss", min(self.miss, 1 - self.yes))


@dataclass(frozen=True, slots=True)
class Answers:
    """Answers as columns of equal length: the number of what was asked about, the number of who answered (from 0), and
    whether it was yes.
    """

    items: Whole
    people: Whole
    yes: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Known:
    """What answers tell of people: the yes rate of each, how often they overlook what is there, and which share of the
    decoys is there after all. None, and `is_yes_known` false: the answers do not tell, and it is taken to be never.
    """

    yes: Reals
    miss: float | None
    decoys_there: float | None
    is_yes_known: bool

    def rates(self, people: Whole) -> list[Rates]:
        """Those of each answer's person."""
        return [Rates(float(self.yes[each]), self.miss or 0.0) for each in people]


def find_rates(labels: Answers, groups: Whole, decoys: Answers, people: int) -> Known:
    """How readily each of so many people says yes to what is not there, and how often they say no to what is.

    `groups` tells labels apart that hold more or less often (a number for each answer about a label). Labels and decoys
    are two populations in which the same people err alike, so that what each errs can be told without anybody knowing
    the truth (Hui & Walter 1980; by EM, Dawid & Skene 1979), once enough was judged by several. What the answers do not
    tell is taken to be never, and `Known` says so. People are taken to err independently and to overlook all alike;
    whoever answered little is drawn towards all together.
    """
    several = _number_judged(labels, 3) >= LEAST_JUDGED_TWICE
    tells_yes = len(decoys.items) > 0 or several
    tells_miss = several or (
        len(decoys.items) > 0 and _number_judged(labels, 2) >= LEAST_JUDGED_TWICE
    )
    tells_there = _number_judged(decoys, 2) >= LEAST_JUDGED_TWICE
    if not tells_yes:
        return Known(np.zeros(people), None, None, is_yes_known=False)
    yes, miss, there = _fit(
        _joined(labels, groups, decoys, people), tells_miss=tells_miss, tells_there=tells_there
    )
    return Known(
        yes, miss if tells_miss else None, there if tells_there else None, is_yes_known=True
    )


def _number_judged(answers: Answers, times: int) -> int:
    """What was judged by so many people or more."""
    return int((np.unique(answers.items, return_counts=True)[1] >= times).sum())


@dataclass(frozen=True, slots=True)
class _Joined:
    """Labels and decoys together: of each answer its item, its person, and whether yes; of each item its group, decoys
    being the last group.
    """

    items: Whole
    people: Whole
    yes: Reals
    groups: Whole
    decoys: int  # the group of decoys
    number: int  # of people


def _joined(labels: Answers, groups: Whole, decoys: Answers, people: int) -> _Joined:
    _, first, labelled = np.unique(labels.items, return_index=True, return_inverse=True)
    asked, decoy = np.unique(decoys.items, return_inverse=True)
    group = np.unique(groups[first], return_inverse=True)[1]
    last = int(group.max()) + 1 if len(group) else 0
    return _Joined(
        np.concatenate([labelled, len(first) + decoy]),
        np.concatenate([labels.people, decoys.people]),
        np.concatenate([labels.yes, decoys.yes]).astype(np.float64),
        np.concatenate([group, np.full(len(asked), last)]),
        last,
        people,
    )


def _fit(joined: _Joined, *, tells_miss: bool, tells_there: bool) -> tuple[Reals, float, float]:
    """The yes rate of each person, the common miss rate and the share of decoys that is there."""
    items, yes, last = joined.items, joined.yes, joined.decoys
    sizes = np.bincount(joined.groups, minlength=last + 1).astype(np.float64)
    rates, miss = np.full(joined.number, 0.1), 0.1 if tells_miss else LEAST
    shares = np.full(last + 1, 0.5)
    shares[last] = 0.05 if tells_there else 0.0
    for _ in range(ROUNDS):
        before = np.concatenate([rates, shares, [miss]])
        there = _is_there(joined, rates, miss, shares)
        held = np.bincount(joined.groups, there, last + 1)
        shares = (held + AS_THE_OTHERS * 0.5) / (sizes + AS_THE_OTHERS)
        shares[last] = held[last] / max(sizes[last], 1.0) if tells_there else 0.0
        absent = 1 - there[items]
        false_yes = np.bincount(joined.people, absent * yes, joined.number)
        asked = np.bincount(joined.people, absent, joined.number)
        common = float(false_yes.sum() / max(asked.sum(), CLOSE))
        rates = np.clip((false_yes + AS_THE_OTHERS * common) / (asked + AS_THE_OTHERS), LEAST, MOST)
        if tells_miss:
            missed = float(((1 - absent) * (1 - yes)).sum() / max((1 - absent).sum(), CLOSE))
            miss = min(max(missed, LEAST), MOST_MISSED)
        if np.abs(np.concatenate([rates, shares, [miss]]) - before).max() < CLOSE:
            break
    return rates, miss, float(shares[last])


def _is_there(joined: _Joined, rates: Reals, miss: float, shares: Reals) -> Reals:
    """How likely each item is there."""
    yes, own = joined.yes, rates[joined.people]
    if_true = np.where(yes > 0, np.log(1 - miss), np.log(miss))
    if_false = np.where(yes > 0, np.log(own), np.log(1 - own))
    number = len(joined.groups)
    odds = _sums(if_true - if_false, joined.items, number)
    share = np.clip(shares[joined.groups], 1e-12, 1 - LEAST)
    likely: Reals = 1 / (1 + np.exp(-np.clip(np.log(share / (1 - share)) + odds, -700, 700)))
    return likely


def likelihoods(
    labels: Whole, yes: NDArray[np.bool_], rates: Iterable[Rates]
) -> tuple[Whole, Reals, Reals]:
    """Each label once, in ascending order, with how likely its answers are if it holds, and if it does not."""
    known = list(rates)
    false_yes = np.clip([each.yes for each in known], LEAST, MOST)
    missed = np.minimum(np.clip([each.miss for each in known], LEAST, MOST_MISSED), 1 - false_yes)
    each, index = np.unique(labels, return_inverse=True)
    if_true = _sums(np.log(np.where(yes, 1 - missed, missed)), index, len(each))
    if_false = _sums(np.log(np.where(yes, false_yes, 1 - false_yes)), index, len(each))
    # Only their ratio says something; many answers would leave nothing of either.
    most = np.maximum(if_true, if_false)
    return each, np.exp(if_true - most), np.exp(if_false - most)


def _sums(values: Reals, index: Whole, number: int) -> Reals:
    summed: Reals = np.bincount(index, values, number).astype(np.float64)
    return summed

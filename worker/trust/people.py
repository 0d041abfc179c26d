"""What is known of those who answered: how readily they say yes to what is not there, and no to what is.

Nobody's answers are the truth. How often somebody says yes to what is not there is measured by decoys. How often
they say no to what is there no decoy tells: it is estimated where several people answered about the same label, and
taken to be nothing where nobody did. Everything here is a pure function.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]
Person = str

# Somebody with few decoys is taken to be like the others, as if that many more decoys had been answered so.
AS_THE_OTHERS = 10.0
# Fewer labels that several people judged tell too little of how often people miss what is there.
LEAST_JUDGED_TWICE = 50
LEAST, MOST, MOST_MISSED = 0.005, 0.99, 0.45
ROUNDS = 500
CLOSE = 1e-7


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
class Decoys:
    """How many decoys somebody answered, and to how many of them they said yes."""

    asked: int
    yes: int


def yes_rates(decoys: Mapping[Person, Decoys], people: Iterable[Person]) -> dict[Person, float]:
    """How often each of these people says yes to what is not there.

    Whoever answered few decoys is drawn towards all together; where nobody answered any, nothing is known and the
    rate is 0.
    """
    asked = sum(each.asked for each in decoys.values())
    common = sum(each.yes for each in decoys.values()) / asked if asked else 0.0
    none = Decoys(0, 0)

    def rate(person: Person) -> float:
        own = decoys.get(person, none)
        return (own.yes + AS_THE_OTHERS * common) / (own.asked + AS_THE_OTHERS)

    return {person: rate(person) for person in people}


def miss_rate(labels: Whole, yes: NDArray[np.bool_], rates: Reals) -> float | None:
    """How often people say no to what is there, from labels that several of them judged.

    Of each answer: its label, whether it was yes, and the yes rate of who gave it. People are taken to err
    independently of one another and all to miss alike (the model of Dawid and Skene 1979 with known yes rates, fitted
    by EM). None where fewer than `LEAST_JUDGED_TWICE` labels were judged by two people or more.
    """
    _, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    several = counts[index] > 1
    index = np.unique(index[several], return_inverse=True)[1]
    number = int(index.max()) + 1 if len(index) else 0
    if number < LEAST_JUDGED_TWICE:
        return None
    yes, rates = yes[several], np.clip(rates[several], LEAST, MOST)
    if_false = _sums(np.log(np.where(yes, rates, 1 - rates)), index, number)
    share, miss = 0.5, 0.1
    for _ in range(ROUNDS):
        if_true = _sums(np.log(np.where(yes, 1 - miss, miss)), index, number)
        odds = np.log(share / (1 - share)) + if_true - if_false
        there = 1 / (1 + np.exp(-np.clip(odds, -700, 700)))
        before = share, miss
        share = float(np.clip(there.mean(), LEAST, 1 - LEAST))
        weight = there[index]
        miss = float(np.clip(weight[~yes].sum() / weight.sum(), LEAST, MOST_MISSED))
        if abs(share - before[0]) + abs(miss - before[1]) < CLOSE:
            break
    return miss


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

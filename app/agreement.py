"""How far people agree about the same things, beyond what chance would give.

Plain functions on arrays, for nominal categories: no web, no database. Two people: Cohen's kappa. Any number
of them, of whom each may have answered about a part only: Fleiss' kappa, Krippendorff's alpha and Gwet's AC1.
Where nearly all answers are the same, kappa and alpha fall towards 0 however much people agree; AC1 does not,
so it is the one to read then.

Each coefficient is (observed - expected) / (1 - expected). Its standard error is linearised: every item has a
value whose mean is the coefficient (Gwet, Handbook of Inter-Rater Reliability, 4th edition, 2014, chapters 5 and
6; R's irrCAC computes the same). Items that are not independent, as those of one image, are named by
`clusters`: their deviations are then added up within each cluster before they are squared (the sandwich estimate
for cluster samples). The interval takes Student's t with one degree of freedom less than there are clusters.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from method.student import student_quantile

Reals = NDArray[np.float64]

LEVEL = 0.95
NO_WIDTH = 1e-9
"""An interval narrower than this has no width: it would claim a certainty that is not there."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient with its 95 % interval, held within [-1, 1].

    `value` is None where nothing can be said: no item with two answers, or chance alone would make everybody
    agree. `error` (the standard error) and `interval` are None too with fewer than two clusters, and where the
    spread is nil. `items` are those with two answers or more.
    """

    value: float | None
    error: float | None
    interval: tuple[float, float] | None
    observed: float | None
    expected: float | None
    items: int


NOTHING = Agreement(None, None, None, None, None, 0)


def cohens_kappa(
    first: ArrayLike, second: ArrayLike, *, clusters: ArrayLike | None = None
) -> Agreement:
    """Cohen's kappa of two people (Cohen 1960).

    `first` and `second` are their answers about the same items, as categories of any kind: two rows of equal
    length, without gaps. `clusters` names each item's cluster. Raises ValueError for other lengths.
    """
    one, two = np.asarray(first), np.asarray(second)
    if one.shape != two.shape or one.ndim != 1:
        raise ValueError("the answers of two people are two rows of equal length")
    if not len(one):
        return NOTHING
    codes = np.unique(np.concatenate([one, two]), return_inverse=True)[1]
    here, there = codes[: len(one)], codes[len(one) :]
    count = int(codes.max()) + 1
    shares_here = np.bincount(here, minlength=count) / len(one)
    shares_there = np.bincount(there, minlength=count) / len(one)
    same = (here == there).astype(np.float64)
    by_chance = (shares_there[here] + shares_here[there]) / 2
    return _coefficient(same, by_chance, float(shares_here @ shares_there), clusters)


def fleiss_kappa(counts: ArrayLike, *, clusters: ArrayLike | None = None) -> Agreement:
    """Fleiss' kappa (Fleiss 1971), with items that some did not answer about (Gwet 2014, 2.6).

    `counts` has a row for each item and a column for each category: how many people answered so. `clusters`
    names each item's cluster. Raises ValueError for another shape. Items without an answer are left out.
    """
    answered, named = _answered(counts, clusters, least=1)
    shares = _mean_shares(answered)
    by_chance = answered @ shares / answered.sum(axis=1)
    return _of_pairs(answered, by_chance, float(shares @ shares), named)


def gwets_ac1(counts: ArrayLike, *, clusters: ArrayLike | None = None) -> Agreement:
    """Gwet's AC1 (Gwet 2008). `counts` as for `fleiss_kappa`; every category that people could choose has a
    column, also one that nobody chose, because their number counts. Raises ValueError for fewer than two.
    """
    answered, named = _answered(counts, clusters, least=1)
    others = answered.shape[1] - 1
    if others < 1:
        raise ValueError("AC1 needs two categories or more")
    rest = 1 - _mean_shares(answered)
    by_chance = answered @ rest / answered.sum(axis=1) / others
    return _of_pairs(answered, by_chance, float((1 - rest) @ rest) / others, named)


def krippendorffs_alpha(counts: ArrayLike, *, clusters: ArrayLike | None = None) -> Agreement:
    """Krippendorff's alpha for nominal categories (Krippendorff 2004). `counts` as for `fleiss_kappa`; items
    with one answer are left out.
    """
    answered, named = _answered(counts, clusters, least=2)
    if not len(answered):
        return NOTHING
    people = answered.sum(axis=1)
    usual = float(people.mean())
    shares = answered.sum(axis=0) / people.sum()
    expected = float(shares @ shares)
    pairs = _agreeing(answered) / (usual * (people - 1))
    # Each answer is compared with all others, though chance draws it with itself, too.
    small = 1 / float(people.sum())
    observed = (1 - small) * float(pairs.mean()) + small
    more = (people - usual) / usual
    return _coefficient(
        pairs - observed * more,
        answered @ shares / usual - expected * more,
        expected,
        named,
        observed=observed,
    )


# How it is done --------------------------------------------------------------------------------


def _answered(
    counts: ArrayLike, clusters: ArrayLike | None, *, least: int
) -> tuple[Reals, ArrayLike | None]:
    """Only the items with `least` answers or more."""
    table = np.asarray(counts, dtype=np.float64)
    if table.ndim != 2 or (clusters is not None and len(np.asarray(clusters)) != len(table)):
        raise ValueError(
            "counts are a table of items by categories, with one cluster for each item"
        )
    kept = table.sum(axis=1) >= least
    return table[kept], None if clusters is None else np.asarray(clusters)[kept]


def _mean_shares(answered: Reals) -> Reals:
    """How the answers fall on the categories, each item counting the same."""
    if not len(answered):
        return np.zeros(answered.shape[1])
    shares: Reals = (answered / answered.sum(axis=1, keepdims=True)).mean(axis=0)
    return shares


def _agreeing(answered: Reals) -> Reals:
    """Of each item: ordered pairs of people who said the same."""
    pairs: Reals = (answered * (answered - 1)).sum(axis=1)
    return pairs


def _of_pairs(
    answered: Reals, by_chance: Reals, expected: float, clusters: ArrayLike | None
) -> Agreement:
    """Items with one answer tell how answers fall on the categories, but not of agreement."""
    people = answered.sum(axis=1)
    twice = people >= 2
    if not twice.any():
        return NOTHING
    pairs = _agreeing(answered) / np.where(twice, people * (people - 1), 1)
    weight = twice * (len(answered) / twice.sum())
    return _coefficient(pairs, by_chance, expected, clusters, weight=weight, items=int(twice.sum()))


def _coefficient(
    pairs: Reals,
    by_chance: Reals,
    expected: float,
    clusters: ArrayLike | None,
    *,
    weight: Reals | float = 1.0,
    observed: float | None = None,
    items: int | None = None,
) -> Agreement:
    """From each item's agreeing pairs, weighted, and what chance gives it, whose mean is `expected`.

    `observed` is what agrees, where it is not the mean of the pairs; `items` how many have pairs, if not all.
    """
    mean = float((weight * pairs).mean())
    observed = mean if observed is None else observed
    items = len(pairs) if items is None else items
    if expected >= 1 - NO_WIDTH:
        return Agreement(None, None, None, observed, expected, items)
    value = (observed - expected) / (1 - expected)
    rest = (1 - mean) / (1 - expected)
    values = (weight * (pairs - expected) - 2 * rest * (by_chance - expected)) / (1 - expected)
    error, count = _clustered_error(values, clusters)
    interval = None
    if error is not None:
        reach = student_quantile((1 + LEVEL) / 2, count - 1) * error
        interval = (max(-1.0, value - reach), min(1.0, value + reach))
    return Agreement(value, error, interval, observed, expected, items)


def _clustered_error(values: Reals, clusters: ArrayLike | None) -> tuple[float | None, int]:
    """The standard error of the mean of the values, and how many clusters it rests on."""
    off = values - values.mean()
    if clusters is not None:
        index = np.unique(np.asarray(clusters), return_inverse=True)[1]
        off = np.bincount(index, weights=off)
    count = len(off)
    if count < 2:
        return None, count
    error = math.sqrt(count / (count - 1) * float(off @ off)) / len(values)
    return (error if error > NO_WIDTH else None), count

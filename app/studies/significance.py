"""Whether a preference could be chance: exact tests on plain numbers, and the correction for several of them."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
MOST_EXACT = 16
"""So many units have 65,536 ways to turn their signs, which are all looked at; of more a part is drawn."""
DRAWN = 100_000


def sign_test(wins: int, losses: int) -> float | None:
    """The two-sided exact binomial p of so many wins and losses where both are as likely; None of none.

    Ties are no part of it (Dixon and Mood, The statistical sign test, JASA 41, 1946).
    """
    number = wins + losses
    if not number:
        return None
    tail = sum(math.comb(number, each) for each in range(min(wins, losses) + 1))
    # As whole numbers: of many pairs neither fits into a float.
    return min(1.0, _quotient(2 * tail, 2**number))


def _quotient(part: int, whole: int) -> float:
    """A quotient of whole numbers of any size."""
    shift = max(0, whole.bit_length() - 1000)
    return (part >> shift) / (whole >> shift) if shift else part / whole


def sign_flip_test(values: Reals) -> float | None:
    """The two-sided p of a mean that is as far from 0 as this one, where each value is as likely with the other sign.

    Exact up to 16 values; of more, 100,000 ways to turn the signs are drawn, always the same ones (Fisher, The Design of Experiments,
    1935; the observed way counts as one of those drawn). None for no value.
    """
    if not len(values):
        return None
    observed = abs(float(values.sum()))
    # Sums that are equal but for rounding are equal.
    near = observed - 1e-9 * max(1.0, float(np.abs(values).sum()))
    if len(values) <= MOST_EXACT:
        ways = np.arange(2 ** len(values))[:, None] >> np.arange(len(values)) & 1
        return float((np.abs((1 - 2 * ways) @ values) >= near).mean())
    chance = np.random.default_rng(0)
    more = 0
    for _ in range(DRAWN // 1000):
        signs = chance.choice((-1.0, 1.0), size=(1000, len(values)))
        more += int((np.abs(signs @ values) >= near).sum())
    return (more + 1) / (DRAWN + 1)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """The p of several tests, corrected so that the chance of any false finding stays (Holm, A simple sequentially
    rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979). None stays None and counts for nothing.
    """
    known = sorted((p, at) for at, p in enumerate(ps) if p is not None)
    corrected: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, at) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[at] = largest
    return corrected

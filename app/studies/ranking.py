"""Ranks models by how often each was preferred to the others.

Bradley and Terry, Rank analysis of incomplete block designs, Biometrika 39, 1952: model i is preferred to j with the
probability 1 / (1 + exp(b_j - b_i)). A tie counts as half a win for each. The strengths b add up to 0 and
are found by Newton's method; each answer's part in them (the inverse information times its score) gives their spread,
clustered by prompts (whose pairs share images) and participants.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.intervals import Interval, spread
from app.studies.answers import Answers

Reals = NDArray[np.float64]
STEPS = 100
ENOUGH = 1e-12
TOO_FAR = 30.0
"""Log odds beyond which nobody ever preferred one model to another: there is no finite strength."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A model's place (1 is the best), its strength in log odds with the 95 % interval, and its mean share of wins against
    another model. `strength` is None where answers know no limit to it: a model that always or never won.
    """

    model: int
    rank: int
    strength: float | None
    interval: Interval | None
    share: float


def rank(answers: Answers, models: list[int]) -> list[Ranked]:
    """The models from the best to the worst by the answers that count about them; empty where there is none."""
    chosen = answers.where(
        (answers.kinds == "pair") & np.isin(answers.first, models) & np.isin(answers.second, models)
    )
    if not len(chosen) or len(models) < 2:
        return []
    at = {model: place for place, model in enumerate(models)}
    first = np.array([at[each] for each in chosen.first])
    second = np.array([at[each] for each in chosen.second])
    shares = _shares(first, second, chosen.won, len(models))
    strengths = fit(first, second, chosen.won, len(models))
    intervals: list[Interval | None] = [None] * len(models)
    if strengths is not None:
        intervals = _intervals(chosen, first, second, strengths)
    by: Reals = shares if strengths is None else strengths
    order = np.argsort(-by, kind="stable")
    return [
        Ranked(
            model=models[each],
            rank=int((by > by[each] + ENOUGH).sum()) + 1,
            strength=None if strengths is None else float(strengths[each]),
            interval=intervals[each],
            share=float(shares[each]),
        )
        for each in order
    ]


def fit(
    first: NDArray[np.int64], second: NDArray[np.int64], won: Reals, count: int
) -> Reals | None:
    """The strengths of `count` models, in log odds, adding up to 0; None where they are not finite or not told."""
    strengths = np.zeros(count)
    for _ in range(STEPS):
        expected = _expected(strengths, first, second)
        information = _information(expected, first, second, count)
        if np.linalg.matrix_rank(information, tol=1e-9 * max(1.0, float(len(won)))) < count - 1:
            return None
        step = _inverse(information) @ _score(won - expected, first, second, count)
        strengths = strengths + step
        if np.abs(strengths).max() > TOO_FAR:
            return None
        if np.abs(step).max() < ENOUGH:
            return strengths
    return None


def _expected(strengths: Reals, first: NDArray[np.int64], second: NDArray[np.int64]) -> Reals:
    expected: Reals = 1 / (1 + np.exp(strengths[second] - strengths[first]))
    return expected


def _score(left: Reals, first: NDArray[np.int64], second: NDArray[np.int64], count: int) -> Reals:
    gained, lost = (np.bincount(each, left, count) for each in (first, second))
    return (gained - lost).astype(np.float64)


def _information(
    expected: Reals, first: NDArray[np.int64], second: NDArray[np.int64], count: int
) -> Reals:
    weight = expected * (1 - expected)
    matrix = np.zeros((count, count))
    np.add.at(matrix, (first, first), weight)
    np.add.at(matrix, (second, second), weight)
    np.add.at(matrix, (first, second), -weight)
    np.add.at(matrix, (second, first), -weight)
    return matrix


def _inverse(information: Reals) -> Reals:
    """The inverse where strengths add up to 0; adding the same to all of them says nothing."""
    even = np.full_like(information, 1 / len(information))
    inverse: Reals = np.linalg.inv(information + even) - even
    return inverse


def _intervals(
    answers: Answers, first: NDArray[np.int64], second: NDArray[np.int64], strengths: Reals
) -> list[Interval | None]:
    expected = _expected(strengths, first, second)
    inverse = _inverse(_information(expected, first, second, len(strengths)))
    parts = (answers.won - expected)[:, None] * (inverse[first] - inverse[second])
    found: list[Interval | None] = []
    for place, strength in enumerate(strengths):
        around = spread(parts[:, place], answers.prompts, answers.people)
        reach = around.reach if around else None
        found.append(None if reach is None else (float(strength - reach), float(strength + reach)))
    return found


def _shares(first: NDArray[np.int64], second: NDArray[np.int64], won: Reals, count: int) -> Reals:
    """How often each model was preferred to another one, a tie being half."""
    wins = np.bincount(first, won, count) + np.bincount(second, 1 - won, count)
    met = np.bincount(first, minlength=count) + np.bincount(second, minlength=count)
    shares: Reals = wins / np.maximum(met, 1)
    return shares

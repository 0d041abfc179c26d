"""Counts attributes and says how sure the counts are. Numbers in, numbers out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Label: TypeAlias = tuple[str, str]
"""A pair's key and a polarity."""
Found: TypeAlias = Mapping[str, Sequence[frozenset[Label]]]
"""For each model, the labels found in its image of each prompt, in the same order of prompts."""

RESAMPLES = 10_000
CONFIDENCE = 0.95
POLARITIES = ("negative", "positive")


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over prompts and its 95 % interval; no interval where one prompt is all there is."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A model against the base, prompt by prompt; better is fewer negative attributes."""

    better: int
    same: int
    worse: int
    win_rate: Estimate
    """Share of prompts on which the model is better; where both are the same counts as half."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of attributes per image, by polarity."""

    models: dict[str, dict[str, Estimate]]
    differences: dict[str, dict[str, Estimate]]
    """Model minus base, paired by prompt, for each model but the base."""


@dataclass(frozen=True, slots=True)
class Shares:
    """Shares of images, and how they differ from the base's, paired by prompt."""

    models: dict[str, Estimate]
    differences: dict[str, Estimate]


def draw_resamples(
    num_prompts: int, seed: int, num_resamples: int = RESAMPLES
) -> npt.NDArray[np.float64]:
    """How often each prompt is drawn, with replacement, in each resample: (resamples, prompts)."""
    generator = np.random.default_rng(seed)
    shares = np.full(num_prompts, 1 / num_prompts)
    drawn = generator.multinomial(num_prompts, shares, size=num_resamples)
    # Floats, because a matrix of integers would be converted anew for every figure.
    return drawn.astype(np.float64)


def estimate(values: Sequence[float], resamples: npt.NDArray[np.float64]) -> Estimate:
    """The mean and its percentile bootstrap interval (Efron 1979)."""
    drawn = np.asarray(values, dtype=np.float64)
    mean = float(drawn.mean())
    if len(drawn) < 2:
        return Estimate(mean, None, None)
    means = resamples @ drawn / len(drawn)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Estimate(mean, float(low), float(high))


def count(
    found: Found, keys: Collection[str], base: str, resamples: npt.NDArray[np.float64]
) -> Figures:
    """Attributes per image among these pairs: the paper's #A_neg and #A_pos, and paired differences."""
    numbers = {
        model: {polarity: _numbers(labels, keys, polarity) for polarity in POLARITIES}
        for model, labels in found.items()
    }
    models = {
        model: {side: estimate(values, resamples) for side, values in sides.items()}
        for model, sides in numbers.items()
    }
    differences = {
        model: {
            side: estimate(_minus(values, numbers[base][side]), resamples)
            for side, values in sides.items()
        }
        for model, sides in numbers.items()
        if model != base
    }
    return Figures(models, differences)


def compare(
    found: Found, keys: Collection[str], model: str, base: str, resamples: npt.NDArray[np.float64]
) -> Comparison:
    """On how many prompts the model has fewer, as many, or more negative attributes than the base."""
    differences = _minus(
        _numbers(found[model], keys, "negative"), _numbers(found[base], keys, "negative")
    )
    points = [1.0 if d < 0 else 0.5 if d == 0 else 0.0 for d in differences]
    return Comparison(
        better=points.count(1.0),
        same=points.count(0.5),
        worse=points.count(0.0),
        win_rate=estimate(points, resamples),
    )


def without_negatives(
    found: Found, keys: Collection[str], base: str, resamples: npt.NDArray[np.float64]
) -> Shares:
    """The share of images in which no negative attribute of these pairs was found."""
    clean = {
        model: [float(number == 0) for number in _numbers(labels, keys, "negative")]
        for model, labels in found.items()
    }
    return Shares(
        {model: estimate(values, resamples) for model, values in clean.items()},
        {
            model: estimate(_minus(values, clean[base]), resamples)
            for model, values in clean.items()
            if model != base
        },
    )


def _numbers(
    images: Sequence[frozenset[Label]], keys: Collection[str], polarity: str
) -> list[float]:
    return [float(sum(key in keys and side == polarity for key, side in found)) for found in images]


def _minus(values: Sequence[float], others: Sequence[float]) -> list[float]:
    return [value - other for value, other in zip(values, others, strict=True)]

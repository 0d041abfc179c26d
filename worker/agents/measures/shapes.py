"""Measures of masses and the shapes a squinted picture falls into."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from worker.agents.measures.planes import Floats, squint


def mass_share(lightness: Floats, scale: float = 0.035) -> float:
    """Share of the lightness variance that is left when one squints, 0 (all small detail) to 1 (a few large masses).

    `scale`: how far one closes the eyes, as a share of the short side.
    In the spirit of the spectral slope of art (Graham & Redies 2010): large scales against small ones.
    """
    total = float(lightness.var())
    return float(squint(lightness, scale).var()) / total if total > 0.25 else 0.0


class Shapes(NamedTuple):
    """The shapes a squinted picture falls into."""

    number: int
    size_spread: float  # standard deviation of the logarithm of their areas
    outline_spread: (
        float  # standard deviation of the logarithm of their proportions plus of their fullness
    )


def shapes(lightness: Floats) -> Shapes:
    """Connected areas of like value (five steps) that cover at least 0.3 % of the picture.

    Posterised segments in place of the mean-shift segments of Datta et al. 2006; proportion and fullness by second
    moments.
    """
    calm = squint(lightness, 0.012)
    edges = np.unique(np.percentile(calm, [20, 40, 60, 80]))
    steps = np.digitize(calm, edges)
    areas: list[int] = []
    ratios: list[float] = []
    fullness: list[float] = []
    for step in range(int(steps.max()) + 1):
        labels, _ = ndimage.label(steps == step)
        counts = np.bincount(labels.ravel())
        places = ndimage.find_objects(labels)
        for number in np.flatnonzero(counts >= 0.003 * calm.size):
            if number == 0:
                continue
            rows, columns = places[number - 1]
            tall, wide = rows.stop - rows.start, columns.stop - columns.start
            areas.append(int(counts[number]))
            ratios.append(float(np.log(wide / tall)))
            fullness.append(float(counts[number]) / (tall * wide))
    if len(areas) < 4:
        return Shapes(len(areas), 0.0, 0.0)
    return Shapes(
        len(areas), float(np.std(np.log(areas))), float(np.std(ratios) + np.std(fullness))
    )

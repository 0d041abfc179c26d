"""Measures of light and dark: range, key, contrast, middle tones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from worker.agents.measures.planes import Floats, blur, cell_means, entropy, gradient, squint

# Of which percentiles rules ask the lightness.
LEVELS = (2.0, 25.0, 50.0, 75.0, 98.0)


def lightness_levels(lightness: Floats) -> dict[float, float]:
    """The L* below which so many per cent of the picture lie, 0 to 100 (the key of the picture), for each of `LEVELS`."""
    found = np.percentile(lightness, LEVELS)
    return {level: float(each) for level, each in zip(LEVELS, found, strict=True)}


def tonal_extent(levels: Mapping[float, float]) -> float:
    """Distance between the dark and the light end of the scale in L*: 98th minus 2nd percentile, 0 to 100.

    Datta et al. 2006 and Machajdik & Hanbury 2010 use the same idea as "dynamic range"; percentiles ignore specks.
    """
    return levels[98.0] - levels[2.0]


def squinted_contrast(lightness: Floats) -> float:
    """Root mean square contrast of the picture seen with half-closed eyes, in L*, 0 to 50.

    RMS contrast: Peli 1990. The blur (3 % of the short side) leaves the masses and takes away the marks. It weighs by
    area: a small bright spot on black has little of it, whatever the eye says.
    """
    return float(squint(lightness).std())


def midtone_layers(lightness: Floats) -> float:
    """How much of the picture lies in middle values and how evenly over them, 0 to 1.

    Share of pixels with L* 20 to 80, times the entropy (as a share of its maximum) over ten steps in that range
    (after the entropy features of Machajdik & Hanbury 2010).
    """
    counts, _ = np.histogram(lightness, bins=10, range=(20, 80))
    inside = int(counts.sum())
    if inside == 0:
        return 0.0
    return inside / lightness.size * entropy(counts / inside) / float(np.log(10))


def light_direction(lightness: Floats) -> float:
    """How far the soft gradations of all parts agree on one side of the light, 0 (none) to 1 (one ramp).

    Mean over a grid of the mean gradient over the mean length of the gradients, borders left out: Pentland 1982
    estimates the illuminant from the same mean. Only the sideways part is used, since skies are lighter below whatever
    the lamp; and each part of the picture has one vote, since light from one side is seen in all of them. A high value is
    a direction of values, not always of light; a value near 0 says nothing (light from the front or from above has it).
    """
    across, down = gradient(lightness, 0.03 * min(lightness.shape))
    length = np.hypot(across, down)
    soft = length <= np.percentile(length, 85)
    # Gradations too faint to see (4 L* from side to side) must not make a direction.
    faint = 4.0 / min(lightness.shape)
    votes = cell_means(across * soft, 14) / (cell_means(length * soft, 14) + faint)
    return float(abs(votes.mean()))


def murk(lightness: Floats) -> float:
    """Share of the picture that is nearly black (L* below 10) and in which nothing can be told apart, 0 to 1.

    The local spread stays below 2.5 L*: about two just noticeable steps, which no screen shows in such a dark.
    """
    short = min(lightness.shape)
    calm = blur(lightness, 0.012 * short)
    mean = blur(lightness, 0.025 * short)
    spread = blur(lightness * lightness, 0.025 * short) - mean * mean
    return float(((calm < 10) & (spread < 2.5**2)).mean())

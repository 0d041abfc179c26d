"""Measures of depth: haze, loss of contrast, figure against ground."""

from __future__ import annotations

import itertools

import numpy as np

from worker.agents.measures.planes import Floats


def distance_haze(lightness: Floats) -> float:
    """How much paler the darks get from the foreground to the distance, in L*, about -60 to 60.

    The darkest tenth of the band above the middle against that of the lowest fourth, with height in the picture standing for
    distance. A percentile of lightness: after the idea of the dark channel (He, Sun & Tang 2009), which is another measure.
    """
    height = lightness.shape[0]
    near = lightness[int(0.75 * height) :]
    far = lightness[int(0.30 * height) : max(int(0.55 * height), int(0.30 * height) + 1)]
    return float(np.percentile(far, 10) - np.percentile(near, 10))


def haze_steps(lightness: Floats) -> int:
    """In how many of four steps from the lower edge to the distance the darks do not get darker again, 0 to 4."""
    edges = np.linspace(0.30, 1.0, 6) * lightness.shape[0]
    bands = [lightness[int(a) : max(int(b), int(a) + 1)] for a, b in itertools.pairwise(edges)]
    darks = [float(np.percentile(band, 10)) if band.size else 0.0 for band in bands]
    return sum(far > near - 1 for far, near in itertools.pairwise(darks))


def contrast_fall(lightness: Floats) -> float:
    """Contrast of the band above the middle over that of the lowest fourth; below 1 where distance loses contrast."""
    height = lightness.shape[0]
    near = lightness[int(0.75 * height) :]
    far = lightness[int(0.30 * height) : max(int(0.55 * height), int(0.30 * height) + 1)]
    return float((far.std() + 1.0) / (near.std() + 1.0))


def figure_contrast(lab: Floats, attention: Floats) -> float:
    """How clearly what draws attention differs from what does not, in units of the spread within both, 0 upward.

    Fisher's ratio between the most salient fifth and the least salient half, over L*, a*, b* (the best of the three).
    """
    order = attention.ravel()
    figure = lab.reshape(-1, 3)[order >= np.percentile(order, 80)]
    ground = lab.reshape(-1, 3)[order <= np.percentile(order, 50)]
    within = np.sqrt((figure.var(axis=0) + ground.var(axis=0)) / 2) + 2.0
    return float((np.abs(figure.mean(axis=0) - ground.mean(axis=0)) / within).max())

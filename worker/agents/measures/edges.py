"""Measures of the borders between masses: how wide they are and how that changes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from worker.agents.measures.planes import Floats, steepness

# Fewer pixels on the short side, or fewer points on borders, show only that the file is small or the picture plain.
LEAST_SIDE_FOR_BORDERS = 48

LEAST_BORDERS = 40


class Borders(NamedTuple):
    """A sample of points on the borders between masses: how wide each border is there, and which contour it is on."""

    widths: Floats  # (n,), standard deviation of the blur in thousandths of the long side
    contours: npt.NDArray[np.int32]  # (n,), the same number for points of one connected contour
    places: npt.NDArray[np.intp]  # (n, 2), row and column


NO_BORDERS = Borders(np.zeros(0, np.float32), np.zeros(0, np.int32), np.zeros((0, 2), np.intp))


def borders(lightness: Floats) -> Borders:
    """Find the borders between masses and measure their blur.

    The ratio of the gradient at two scales gives the blur of a step edge (Zhuo & Sim 2011; edge scale: Elder & Zucker
    1998; edge width as sharpness: Marziliano et al. 2002). Empty where the picture is too small or has no borders.
    """
    if min(lightness.shape) < LEAST_SIDE_FOR_BORDERS:
        return NO_BORDERS
    unit = max(lightness.shape) / 512
    fine, coarse = 0.9 * unit, 2.7 * unit
    near, far = steepness(lightness, fine), steepness(lightness, coarse)
    high, top = np.percentile(far[::2, ::2], [90, 99.5])
    border = far > max(float(high), 0.3 * float(top), 0.6 / unit)
    border &= far >= ndimage.maximum_filter(far, size=3) * 0.97
    ratio = np.clip(near[border] / far[border], 1.02, None)
    square = (coarse**2 - (ratio * fine) ** 2) / (ratio**2 - 1)
    widths = np.sqrt(np.clip(square, 0.0, (8 * unit) ** 2)) / unit * 1.95
    labels, _ = ndimage.label(ndimage.binary_dilation(border, iterations=2))
    return Borders(widths.astype(np.float32), labels[border], np.argwhere(border))


def changing_contours(found: Borders, hard: float = 1.9, soft: float = 3.0) -> float:
    """Share of the border length on contours that are hard in one stretch and soft in another, 0 to 1.

    Both must take up at least a sixth of the contour, and the contour a twentieth of the picture's long side.
    """
    if found.widths.size < LEAST_BORDERS:
        return 0.0
    length = np.bincount(found.contours).astype(np.float64)
    some = np.maximum(length, 1)
    hard_share = np.bincount(found.contours, found.widths < hard) / some
    soft_share = np.bincount(found.contours, found.widths > soft) / some
    changing = (length >= 25) & (hard_share > 0.17) & (soft_share > 0.17)
    return float(length[changing].sum() / length.sum())


def typical_width(widths: Floats) -> float:
    """Median of the widths of `borders`; about 1 for hard edges, above 2 for soft ones; 0 where there are no borders."""
    return float(np.median(widths)) if widths.size >= LEAST_BORDERS else 0.0


def width_shares(widths: Floats, hard: float = 2.0, soft: float = 5.0) -> tuple[float, float]:
    """Share of hard (below `hard`) and of soft (above `soft`) borders, each 0 to 1, by degrees around both widths."""
    if widths.size < LEAST_BORDERS:
        return 0.0, 0.0
    tight = np.clip((hard - widths) / (0.5 * hard) + 0.5, 0, 1)
    wide = np.clip((widths - soft) / (0.5 * soft) + 0.5, 0, 1)
    return float(tight.mean()), float(wide.mean())


def width_spread(widths: Floats) -> float:
    """Spread of the borders' widths over their median: 80th less 20th percentile, 0 (all alike) upward."""
    if widths.size < LEAST_BORDERS:
        return 0.0
    low, high = np.percentile(widths, [20, 80])
    return float((high - low) / (np.median(widths) + 1.0))

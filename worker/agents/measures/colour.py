"""Measures of colour: strength, temperature, hues, and what is left of them in grey."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.agents.measures.planes import NEUTRAL, Floats, blur, entropy, hue_chroma


def colourfulness(rgb: npt.NDArray[np.uint8]) -> float:
    """Colourfulness of an 8-bit sRGB picture, 0 (grey) to about 150: Hasler & Süsstrunk 2003, M(3)."""
    red, green, blue = (rgb[..., channel].astype(np.float32) for channel in range(3))
    first, second = red - green, 0.5 * (red + green) - blue
    spread = float(np.hypot(first.std(), second.std()))
    return spread + 0.3 * float(np.hypot(first.mean(), second.mean()))


def mean_chroma(lab: Floats) -> float:
    """Mean chroma C*ab, 0 to about 100."""
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def temperature_shares(lab: Floats) -> tuple[float, float]:
    """Share of the picture area that is warm (hue 345 to 105 degrees) and cool (165 to 325), each 0 to 1.

    Hue angle of CIELAB, only where chroma is above `NEUTRAL`; yellow-greens and purples between count for neither.
    """
    hue, chroma = hue_chroma(lab)
    coloured = chroma > NEUTRAL
    warm = coloured & ((hue >= 345) | (hue <= 105))
    cool = coloured & (hue >= 165) & (hue <= 325)
    return float(warm.mean()), float(cool.mean())


def temperature_spread(lab: Floats) -> float:
    """Distance between the warmest and the coolest tenth along the axis from blue to orange, in units of a*, b*."""
    axis = np.cos(np.radians(65)) * lab[..., 1] + np.sin(np.radians(65)) * lab[..., 2]
    low, high = np.percentile(axis, [10, 90])
    return float(high - low)


def hue_histogram(lab: Floats) -> Floats:
    """Chroma-weighted hue histogram in 36 bins of 10 degrees, summing to 1, or all 0 for a picture without colour."""
    hue, chroma = hue_chroma(lab)
    weight = np.where(chroma > NEUTRAL, chroma, 0.0)
    counts = np.histogram(hue, bins=36, range=(0, 360), weights=weight)[0]
    total = float(counts.sum())
    if total <= NEUTRAL * 0.02 * hue.size:
        return np.zeros(36, np.float32)
    return (counts / total).astype(np.float32)


def hue_sector(histogram: Floats, bins: int = 9) -> float:
    """Largest share of colour within one sector of `bins` x 10 degrees (0 to 1): Cohen-Or et al. 2006, template V."""
    return float(max(np.roll(histogram, -start)[:bins].sum() for start in range(36)))


def hue_opposition(histogram: Floats) -> tuple[float, float]:
    """The weaker of two opposite 60-degree sectors and the share of both together, for the best axis, each 0 to 1.

    Cohen-Or et al. 2006, template I; opposites are taken on the CIELAB hue circle.
    """
    sectors = np.array([np.roll(histogram, 3 - start)[:6].sum() for start in range(36)])
    facing = np.roll(sectors, -18)
    weaker = np.minimum(sectors, facing)
    best = int(weaker.argmax())
    return float(weaker[best]), float(sectors[best] + facing[best])


def hue_number(histogram: Floats) -> float:
    """How many hues (sectors of 30 degrees) carry the colour, 0 to 12: the exponential of the entropy."""
    if float(histogram.sum()) <= 0:
        return 0.0
    # The finer of the two ways to cut the circle, so that one hue on a border does not count as two.
    cuts = [np.roll(histogram, shift).reshape(12, 3).sum(axis=1) for shift in range(3)]
    return float(min(np.exp(entropy(cut)) for cut in cuts))


def value_share(lab: Floats) -> float:
    """Share of lightness in the colour differences between the masses, 0 (hue and chroma alone) to 1 (grey scale)."""
    short = min(lab.shape[:2])
    masses = blur(lab, (0.02 * short, 0.02 * short, 0))
    variances = masses.reshape(-1, 3).var(axis=0)
    total = float(variances.sum())
    return float(variances[0]) / total if total > 1.0 else 0.0

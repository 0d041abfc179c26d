"""Measures of colour: strength, temperature, hues, and what is left of them in grey."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from worker.agents.measures.planes import NEUTRAL, Floats, blur, entropy, hue_chroma

# A photograph of a painting is off by so much at most; what is left of a tint is the painter's.
MOST_CAST = 1.5

# The light is estimated in cuts that leave out so much of each side, so that no lamp or cloud at the rim decides it.
CUTS = (0.0, 0.04, 0.08, 0.12)


def balance(rgb: npt.NDArray[np.uint8]) -> tuple[float, float, float]:
    """The gains of red, green and blue that take the cast of the light off an 8-bit sRGB picture, each 0.67 to 1.5.

    Shades of grey (Finlayson & Trezzi 2004): the Minkowski norm of order 6 of each channel, in which the lightest areas
    weigh most, is taken for the color of the light; of the encoded values, as a white balance works on them. Gains that are
    further from 1 are cut, since a picture that is all yellow is not a white one in yellow light. The mean over `CUTS`.
    """
    power = (rgb.astype(np.float32) / 255) ** 6
    height, width = rgb.shape[:2]
    rims = [(round(cut * height), round(cut * width)) for cut in CUTS]
    means = [power[y : height - y, x : width - x].mean(axis=(0, 1)) for y, x in rims]
    norms = (np.stack(means) ** (1 / 6)).mean(axis=0) + 1e-3
    red, green, blue = (
        float(gain) for gain in np.clip(norms.mean() / norms, 1 / MOST_CAST, MOST_CAST)
    )
    return red, green, blue


def colourfulness(
    rgb: npt.NDArray[np.uint8], gains: tuple[float, float, float] = (1, 1, 1)
) -> float:
    """Colourfulness of an 8-bit sRGB picture, 0 (grey) to about 150: Hasler & Süsstrunk 2003, M(3)."""
    red, green, blue = (
        np.minimum(rgb[..., n].astype(np.float32) * gain, 255) for n, gain in enumerate(gains)
    )
    first, second = red - green, 0.5 * (red + green) - blue
    spread = float(np.hypot(first.std(), second.std()))
    return spread + 0.3 * float(np.hypot(first.mean(), second.mean()))


def mean_chroma(lab: Floats) -> float:
    """Mean chroma C*ab, 0 to about 100."""
    return float(np.hypot(lab[..., 1], lab[..., 2]).mean())


def chroma_level(lab: Floats, percentile: float) -> float:
    """The chroma C*ab below which `percentile` per cent of the picture lies, 0 to about 130."""
    return float(np.percentile(np.hypot(lab[..., 1], lab[..., 2]), percentile))


def temperature_shares(lab: Floats) -> tuple[float, float]:
    """Share of the picture area that is warm (hue 345 to 105 degrees) and cool (165 to 325), each 0 to 1.

    Hue angle of CIELAB, and by degrees around the chroma `NEUTRAL`, so that a picture full of near-greys does not turn
    warm all at once; yellow-greens and purples between count for neither.
    """
    hue, chroma = hue_chroma(lab)
    coloured = np.clip((chroma - NEUTRAL) / 6 + 0.5, 0, 1)
    warm = coloured[(hue >= 345) | (hue <= 105)].sum()
    cool = coloured[(hue >= 165) & (hue <= 325)].sum()
    return float(warm) / hue.size, float(cool) / hue.size


def temperature_spread(lab: Floats) -> float:
    """Distance between the warmest and the coolest tenth along the axis from blue to orange, in units of a*, b*."""
    axis = np.cos(np.radians(65)) * lab[..., 1] + np.sin(np.radians(65)) * lab[..., 2]
    low, high = np.percentile(axis, [10, 90])
    return float(high - low)


def hue_histogram(lab: Floats) -> Floats:
    """Hue histogram in 36 bins of 10 degrees, summing to 1, or all 0 for a picture without colour.

    Weighed by the chroma beyond `NEUTRAL`.
    """
    hue, chroma = hue_chroma(lab)
    weight = np.clip(chroma - NEUTRAL, 0, None)
    counts = np.histogram(hue, bins=36, range=(0, 360), weights=weight)[0]
    total = float(counts.sum())
    if total <= 0.01 * NEUTRAL * hue.size:
        return np.zeros(36, np.float32)
    return (counts / total).astype(np.float32)


def hue_sector(histogram: Floats, bins: int = 9) -> float:
    """Largest share of colour within one sector of `bins` x 10 degrees (0 to 1): Cohen-Or et al. 2006, template V."""
    return float(_sectors(histogram, bins).max())


def _sectors(histogram: Floats, bins: int) -> Floats:
    """The share of colour in each sector of so many neighbouring bins, by the bin that it begins with."""
    around = np.concatenate([histogram, histogram[: bins - 1]])
    sums: Floats = np.lib.stride_tricks.sliding_window_view(around, bins).sum(axis=1)
    return sums


def hue_opposition(histogram: Floats) -> tuple[float, float]:
    """The weaker of two opposite 60-degree sectors and the share of both together, for the best axis, each 0 to 1.

    Cohen-Or et al. 2006, template I; opposites are taken on the CIELAB hue circle.
    """
    sectors = _sectors(histogram, 6)
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


def patch_hues(lab: Floats) -> float:
    """How many hues (sectors of 30 degrees) stand in patches of decided colour, 0 to 12, after Cohen-Or et al. 2006.

    The exponential of the entropy, as `hue_number`, of what is left when single touches are blurred and only chroma
    above 18 counts: greys and browns between the colors are no patches. 0 where less than a tenth has such color.
    """
    short = min(lab.shape[:2])
    hue, chroma = hue_chroma(blur(lab, (0.008 * short, 0.008 * short, 0)))
    decided = chroma > 18
    if float(decided.mean()) < 0.1:
        return 0.0
    sectors = (hue[decided] // 30).astype(int) % 12
    counts = np.bincount(sectors, weights=chroma[decided], minlength=12)
    return float(np.exp(entropy(counts / counts.sum())))


def least_chroma(lab: Floats) -> float:
    """Typical chroma of the dark, middle or light third of the picture, whichever has least, 0 to about 100."""
    lightness, chroma = lab[..., 0], np.hypot(lab[..., 1], lab[..., 2])
    low, high = np.percentile(lightness, [33, 67])
    thirds = (lightness <= low, (lightness > low) & (lightness <= high), lightness > high)
    return min((float(np.median(chroma[third])) for third in thirds if third.any()), default=0.0)


def hue_borders(lab: Floats) -> float:
    """Share of hue and chroma in the steepness of all borders, 0 (all seen in grey too) to 1 (none seen in grey).

    Squared gradients of CIELAB: Di Zenzo 1986. Half a border lost leaves shapes readable, hence so near to 1 for a fault.
    """
    short = min(lab.shape[:2])
    calm = blur(lab, (0.012 * short, 0.012 * short, 0))
    if min(calm.shape[:2]) < 2:
        return 0.0
    down, across = np.gradient(calm, axis=(0, 1))
    energy = (down * down + across * across).mean(axis=(0, 1))
    total = float(energy.sum())
    return float(energy[1:].sum()) / total if total > 1e-3 else 0.0

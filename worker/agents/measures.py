"""Measures of a picture that criteria can be decided by: plain functions on arrays.

Lightness `L*` and colour `a*`, `b*` are CIELAB (D65), so one unit is about one just noticeable step. Arrays are float32,
`(height, width)` or `(height, width, 3)`. Scales are shares of the picture's sides, so that a small and a large
reproduction of one painting measure alike. Every function answers for any finite input of at least 1 x 1 pixels.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float32]

# Below this chroma a colour has no hue that the eye would name.
NEUTRAL = 8.0

# Fewer pixels on the short side, or fewer points on borders, show only that the file is small or the picture plain.
LEAST_SIDE_FOR_PAINT = 96
LEAST_SIDE_FOR_BORDERS = 48
LEAST_BORDERS = 40


class Spot(NamedTuple):
    """A place in the picture, x and y from 0 to 1, and how much of the attention it draws."""

    x: float
    y: float
    share: float


# --- colour space -------------------------------------------------------------------------------------------------

_LINEAR = np.array(
    [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (np.arange(256) / 255.0)],
    dtype=np.float32,
)
_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ],
    dtype=np.float32,
)
_WHITE = _TO_XYZ.sum(axis=1)


def to_lab(rgb: npt.NDArray[np.uint8]) -> Floats:
    """8-bit sRGB `(height, width, 3)` as CIELAB (D65): IEC 61966-2-1 and CIE 15."""
    curve = _curve(_LINEAR[rgb] @ (_TO_XYZ / _WHITE[:, None]).T)
    lab = np.empty(rgb.shape, np.float32)
    lab[..., 0] = 116 * curve[..., 1] - 16
    lab[..., 1] = 500 * (curve[..., 0] - curve[..., 1])
    lab[..., 2] = 200 * (curve[..., 1] - curve[..., 2])
    return lab


def to_lightness(rgb: npt.NDArray[np.uint8]) -> Floats:
    """Only the L* of `to_lab`, 0 to 100, shape `(height, width)`."""
    result: Floats = 116 * _curve(_LINEAR[rgb] @ _TO_XYZ[1]) - 16
    return result


def _curve(ratio: Floats) -> Floats:
    result: Floats = np.where(
        ratio > 216 / 24389, np.cbrt(ratio), ratio * np.float32(841 / 108) + np.float32(4 / 29)
    )
    return result.astype(np.float32)


# --- tone ---------------------------------------------------------------------------------------------------------


def tonal_extent(lightness: Floats) -> float:
    """Distance between the dark and the light end of the scale in L*: 98th minus 2nd percentile, 0 to 100.

    Datta et al. 2006 and Machajdik & Hanbury 2010 use the same idea as "dynamic range"; percentiles ignore specks.
    """
    low, high = np.percentile(lightness, [2, 98])
    return float(high - low)


def lightness_level(lightness: Floats, percentile: float) -> float:
    """The L* below which `percentile` per cent of the picture lies, 0 to 100 (the key of the picture)."""
    return float(np.percentile(lightness, percentile))


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
    return inside / lightness.size * _entropy(counts / inside) / float(np.log(10))


def light_direction(lightness: Floats) -> float:
    """How far the soft gradations of all parts agree on one side of the light, 0 (none) to 1 (one ramp).

    Mean over a grid of the mean gradient over the mean length of the gradients, borders left out: Pentland 1982
    estimates the illuminant from the same mean. Only the sideways part is used, since skies are lighter below whatever
    the lamp; and each part of the picture has one vote, since light from one side is seen in all of them. A high value is
    a direction of values, not always of light; a value near 0 says nothing (light from the front or from above has it).
    """
    across, down = _gradient(lightness, 0.03 * min(lightness.shape))
    length = np.hypot(across, down)
    soft = length <= np.percentile(length, 85)
    # Gradations too faint to see (4 L* from side to side) must not make a direction.
    faint = 4.0 / min(lightness.shape)
    votes = _cells(across * soft, 14) / (_cells(length * soft, 14) + faint)
    return float(abs(votes.mean()))


# --- composition --------------------------------------------------------------------------------------------------


def mirror_symmetry(lab: Floats) -> float:
    """Correlation of the picture with its mirror image about an upright axis near the middle, -1 to 1.

    What repeats along whole rows (sky over ground) matches any mirror and is taken out first. The axis may stand up
    to 4 % off the middle. After the intensity correlation in Locher & Nodine 1989 and Bauerly & Liu 2006.
    """
    rest = lab - lab.mean(axis=1, keepdims=True)
    if float(rest.std()) < 1.0:
        return 0.0
    width = lab.shape[1]
    reach = round(0.04 * width)
    best = -1.0
    for shift in range(-reach, reach + 1):
        part = rest[:, max(0, shift) : width + min(0, shift)]
        norm = float((part * part).sum())
        if norm > 0:
            best = max(best, float((part * part[:, ::-1]).sum()) / norm)
    return best


def saliency(lab: Floats) -> Floats:
    """Where the eye is drawn, summing to 1: distance from the mean colour, and spectral residual.

    The mean of Achanta et al. 2009 (large subjects) and Hou & Zhang 2007 (small accents), for small Lab pictures. The two
    are weighed alike by their sums, and the residual is taken at the size of the picture: both are our choice.
    """
    short = min(lab.shape[:2])
    blurred = _blur(lab, (0.02 * short, 0.02 * short, 0))
    far = np.sqrt(((blurred - lab.mean(axis=(0, 1))) ** 2).sum(axis=2))
    spectrum = np.fft.fft2(lab[..., 0])
    amplitude = np.log(np.abs(spectrum) + 1e-6)
    residual = amplitude - ndimage.uniform_filter(amplitude, 3, mode="wrap")
    odd = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    odd = _blur(odd, 0.04 * short)
    total = far / max(float(far.sum()), 1e-9) + odd / max(float(odd.sum()), 1e-9)
    result: Floats = (total / max(float(total.sum()), 1e-9)).astype(np.float32)
    return result


def focal_spot(attention: Floats) -> Spot:
    """The window of a fourth of each side that holds most attention above the average, its centre of mass and share.

    `attention` is a map from `saliency`. The share runs from about 0.06 (attention everywhere) to 1 (one spot).
    """
    height, width = attention.shape
    above = np.clip(attention - float(attention.mean()), 0, None)
    total = float(above.sum())
    if total < 1e-9:
        return Spot(0.5, 0.5, 0.0)
    tall, wide = max(1, height // 4), max(1, width // 4)
    sums = np.pad(above.astype(np.float64), ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    window = sums[tall:, wide:] - sums[:-tall, wide:] - sums[tall:, :-wide] + sums[:-tall, :-wide]
    top, left = np.unravel_index(int(window.argmax()), window.shape)
    part = above[top : top + tall, left : left + wide]
    weight = float(part.sum())
    y = float((part.sum(axis=1) * (np.arange(tall) + 0.5)).sum()) / weight + float(top)
    x = float((part.sum(axis=0) * (np.arange(wide) + 0.5)).sum()) / weight + float(left)
    return Spot(x / width, y / height, weight / total)


def centre_distance(spot: Spot) -> float:
    """Distance of a spot from the middle of the picture, 0 to 0.71, sides as 1."""
    return float(np.hypot(spot.x - 0.5, spot.y - 0.5))


def sideways_lean(attention: Floats) -> float:
    """How far the visual weight lies to one side, 0 (balanced) to 0.5 (all at one edge), as a share of the width.

    Arnheim 1954 (visual weight); deviation of the centre of mass, McManus, Stöver & Kim 2011.
    """
    columns: npt.NDArray[np.float64] = attention.sum(axis=0).astype(np.float64)
    total = float(columns.sum())
    if total <= 0:
        return 0.0
    middle = float((columns * (np.arange(columns.size) + 0.5)).sum()) / total / columns.size
    return float(abs(middle - 0.5))


def detail_map(lightness: Floats, cells: int = 16) -> Floats:
    """Local contrast in L* on a grid of `cells` by `cells` (fewer for tiny pictures): the spread of each cell.

    After the clutter measures of Rosenholtz, Li & Nakano 2007. A slight blur keeps paint texture out.
    """
    calm = _blur(lightness, 0.008 * min(lightness.shape))
    spread: Floats = np.sqrt(np.maximum(_cells(calm * calm, cells) - _cells(calm, cells) ** 2, 0.0))
    return spread


def detail_cover(detail: Floats, least: float = 4.0) -> float:
    """Share of the cells of a `detail_map` in which something happens (contrast above `least` L*), 0 to 1."""
    return float((detail > least).mean())


def calm_area(detail: Floats, most: float = 3.5) -> float:
    """The largest connected calm area of a `detail_map`, as a share of the picture, 0 to 1."""
    labels, count = ndimage.label(detail < most)
    return float(np.bincount(labels.ravel())[1:].max() / detail.size) if count else 0.0


def direction_shares(lightness: Floats) -> tuple[float, float, float]:
    """Share of the structure that runs level, upright and slantwise (within 15, 15 and 20 degrees), each 0 to 1.

    Orientation of the structure tensor (Bigün & Granlund 1987) at a coarse scale, weighted by strength and coherence;
    slantwise takes the stronger of the two diagonals. A picture without direction has 0.17, 0.17 and 0.22.
    """
    angle, weight = _orientation(lightness, 0.012, 0.03)
    total = float(weight.sum())
    if total <= 1e-6:
        return 0.0, 0.0, 0.0
    turned = np.degrees(angle) % 180
    shares = np.histogram(turned, bins=36, range=(0, 180), weights=weight)[0] / total
    level = shares[:3].sum() + shares[-3:].sum()
    upright = shares[15:21].sum()
    slant = max(shares[5:13].sum(), shares[23:31].sum())
    return float(level), float(upright), float(slant)


def counter_slant(lightness: Floats) -> float:
    """The weaker diagonal's structure over the stronger one's, 0 (all one way) to 1 (both alike)."""
    angle, weight = _orientation(lightness, 0.012, 0.03)
    shares = np.histogram(np.degrees(angle) % 180, bins=36, range=(0, 180), weights=weight)[0]
    one, other = float(shares[5:13].sum()), float(shares[23:31].sum())
    return min(one, other) / max(one, other, 1e-9)


def row_share(lightness: Floats) -> float:
    """Share of the lightness variance that whole rows explain, 0 to 1: how much of a picture is level bands."""
    total = float(lightness.var())
    return float(lightness.mean(axis=1).var()) / total if total > 0.25 else 0.0


def column_rhythm(lightness: Floats) -> float:
    """How regularly uprights repeat, 0 to 1: highest autocorrelation of the column means beyond their own width."""
    profile = lightness.mean(axis=0).astype(np.float64)
    profile = profile - ndimage.gaussian_filter1d(profile, 0.15 * profile.size)
    energy = float((profile * profile).sum())
    if profile.size < 16 or energy < 0.5 * profile.size:
        return 0.0
    lags = np.correlate(profile, profile, "full")[profile.size - 1 :] / energy
    below = np.flatnonzero(lags < 0)
    if below.size == 0 or below[0] >= profile.size // 2:
        return 0.0
    return float(max(0.0, lags[below[0] : profile.size // 2].max()))


def ring_likeness(lightness: Floats) -> float:
    """How far the structure curves around one point, 0.5 (not at all) to 1 (concentric).

    Share of the gradient energy that points to or from the best centre within the middle of the picture, after the
    radial symmetry transform of Loy & Zelinsky 2003. The rim of the picture and a tenth around the centre are left out.
    """
    best, _ = _best_centre(lightness)
    return best


def ring_closure(lightness: Floats) -> float:
    """How evenly the structure around the best centre fills all directions, 0 (one side) to 1 (closed ring)."""
    _, sectors = _best_centre(lightness)
    total = float(sectors.sum())
    return _entropy(sectors / total) / float(np.log(sectors.size)) if total > 0 else 0.0


# --- colour -------------------------------------------------------------------------------------------------------


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
    hue, chroma = _hue_chroma(lab)
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
    hue, chroma = _hue_chroma(lab)
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
    return float(min(np.exp(_entropy(cut)) for cut in cuts))


def value_share(lab: Floats) -> float:
    """Share of lightness in the colour differences between the masses, 0 (hue and chroma alone) to 1 (grey scale)."""
    short = min(lab.shape[:2])
    masses = _blur(lab, (0.02 * short, 0.02 * short, 0))
    variances = masses.reshape(-1, 3).var(axis=0)
    total = float(variances.sum())
    return float(variances[0]) / total if total > 1.0 else 0.0


# --- edges --------------------------------------------------------------------------------------------------------


class Borders(NamedTuple):
    """A sample of points on the borders between masses: how wide each border is there, and which contour it is on."""

    widths: Floats  # (n,), standard deviation of the blur in thousandths of the long side
    contours: npt.NDArray[np.int32]  # (n,), the same number for points of one connected contour


NO_BORDERS = Borders(np.zeros(0, np.float32), np.zeros(0, np.int32))


def borders(lightness: Floats) -> Borders:
    """Find the borders between masses and measure their blur.

    The ratio of the gradient at two scales gives the blur of a step edge (Zhuo & Sim 2011; edge scale: Elder & Zucker
    1998; edge width as sharpness: Marziliano et al. 2002). Empty where the picture is too small or has no borders.
    """
    if min(lightness.shape) < LEAST_SIDE_FOR_BORDERS:
        return NO_BORDERS
    unit = max(lightness.shape) / 512
    fine, coarse = 0.9 * unit, 2.7 * unit
    near, far = _steepness(lightness, fine), _steepness(lightness, coarse)
    high, top = np.percentile(far[::2, ::2], [90, 99.5])
    border = far > max(float(high), 0.3 * float(top), 0.6 / unit)
    border &= far >= ndimage.maximum_filter(far, size=3) * 0.97
    ratio = np.clip(near[border] / far[border], 1.02, None)
    square = (coarse**2 - (ratio * fine) ** 2) / (ratio**2 - 1)
    widths = np.sqrt(np.clip(square, 0.0, (8 * unit) ** 2)) / unit * 1.95
    labels, _ = ndimage.label(ndimage.binary_dilation(border, iterations=2))
    return Borders(widths.astype(np.float32), labels[border])


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
    """Share of hard (below `hard`) and of soft (above `soft`) borders, each 0 to 1."""
    if widths.size < LEAST_BORDERS:
        return 0.0, 0.0
    return float((widths < hard).mean()), float((widths > soft).mean())


def width_spread(widths: Floats) -> float:
    """Spread of the borders' widths over their median: 80th less 20th percentile, 0 (all alike) upward."""
    if widths.size < LEAST_BORDERS:
        return 0.0
    low, high = np.percentile(widths, [20, 80])
    return float((high - low) / (np.median(widths) + 1.0))


# --- surface ------------------------------------------------------------------------------------------------------


class Surface(NamedTuple):
    """What the paint itself does, apart from the picture, measured in cells away from strong borders."""

    strength: float  # contrast of the fine structure that the calmer areas keep, L*
    coherence: float  # 0 speckle to 1 strokes with a direction
    unevenness: float  # spread of the strength over the picture, as a share of it
    one_way: float  # 0 strokes in all directions to 1 all parallel
    relief: float  # contrast of directed ridges in the fine structure, L*


def surface(lightness: Floats) -> Surface:
    """Texture of the paint between 1 and 4 thousandths of the long side (stroke scale).

    Band energy by cell: Laws 1980, Johnson et al. 2008 (artist identification); direction and coherence by structure
    tensor: Bigün & Granlund 1987, Li et al. 2012 (brushstrokes). All zero for pictures under `LEAST_SIDE_FOR_PAINT`.
    """
    if min(lightness.shape) < LEAST_SIDE_FOR_PAINT:
        return Surface(0.0, 0.0, 0.0, 0.0, 0.0)
    unit = max(lightness.shape) / 512
    smooth = _blur(lightness, 3.0 * unit)
    band = _blur(lightness, 0.6 * unit) - smooth
    # Cells on strong borders say something about the motif, not about the paint.
    across, down = np.gradient(smooth)
    motif = _cells(np.hypot(across, down), 24)
    quiet = motif <= np.percentile(motif, 60)
    power = np.sqrt(np.maximum(_cells(band * band, 24), 0.0))
    dy, dx = np.gradient(band)
    xx, yy, xy = _cells(dx * dx, 24), _cells(dy * dy, 24), _cells(dx * dy, 24)
    coherence = np.hypot(xx - yy, 2 * xy) / (xx + yy + 1e-3)
    direction = 0.5 * np.arctan2(2 * xy, xx - yy)
    strokes = coherence * np.minimum(power, 6.0) * (power > 0.4)
    total = float(strokes.sum())
    one_way = (
        float(np.abs((strokes * np.exp(2j * direction)).sum())) / total if total > 1e-6 else 0.0
    )
    inside = power[quiet]
    low, middle, high = (float(value) for value in np.percentile(inside, [20, 50, 80]))
    return Surface(
        strength=float(np.percentile(power, 30)),
        coherence=float(np.median(coherence[quiet])),
        unevenness=(high - low) / (middle + 0.15),
        one_way=one_way,
        relief=float(np.percentile(power * coherence, 60)),
    )


# --- space and shape ----------------------------------------------------------------------------------------------


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


def mass_share(lightness: Floats) -> float:
    """Share of the lightness variance that is left when one squints, 0 (all small detail) to 1 (a few large masses).

    In the spirit of the spectral slope of art (Graham & Redies 2010): large scales against small ones.
    """
    total = float(lightness.var())
    return float(squint(lightness, 0.035).var()) / total if total > 0.25 else 0.0


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


def squint(lightness: Floats, scale: float = 0.03) -> Floats:
    """The picture as seen with half-closed eyes: blurred by `scale` of its short side."""
    result: Floats = _blur(lightness, scale * min(lightness.shape))
    return result


def _blur(
    values: Floats, scale: float | tuple[float, float, float], order: int | tuple[int, int] = 0
) -> Floats:
    """Gaussian blur, cut at three standard deviations: the rest is under 0.3 % and costs a fourth of the time."""
    result: Floats = ndimage.gaussian_filter(values, scale, order=order, truncate=3.0)
    return result


def _entropy(shares: npt.NDArray[np.floating]) -> float:
    some = shares[shares > 0]
    return float(-(some * np.log(some)).sum())


def _gradient(lightness: Floats, scale: float) -> tuple[Floats, Floats]:
    scale = max(scale, 0.5)
    return (
        _blur(lightness, scale, order=(0, 1)),
        _blur(lightness, scale, order=(1, 0)),
    )


def _steepness(lightness: Floats, scale: float) -> Floats:
    """Length of the gradient; each step counts where it is, so that a border between two pixels is not softened."""
    blurred = _blur(lightness, scale)
    across = np.zeros((lightness.shape[0], lightness.shape[1] + 1), np.float32)
    down = np.zeros((lightness.shape[0] + 1, lightness.shape[1]), np.float32)
    across[:, 1:-1] = np.abs(np.diff(blurred, axis=1))
    down[1:-1] = np.abs(np.diff(blurred, axis=0))
    steepest: Floats = np.hypot(
        np.maximum(across[:, 1:], across[:, :-1]), np.maximum(down[1:], down[:-1])
    )
    return steepest


def _orientation(lightness: Floats, fine: float, coarse: float) -> tuple[Floats, Floats]:
    """Direction along the structure (radians, 0 level) and its weight (strength times coherence)."""
    short = min(lightness.shape)
    across, down = _gradient(lightness, fine * short)
    smooth = max(coarse * short, 0.5)
    xx = _blur(across * across, smooth)
    yy = _blur(down * down, smooth)
    xy = _blur(across * down, smooth)
    angle = 0.5 * np.arctan2(2 * xy, xx - yy) + np.pi / 2
    # The square root keeps one hard edge from outweighing the rest of the picture.
    weight = np.hypot(xx - yy, 2 * xy) / np.sqrt(xx + yy + 1e-6)
    return angle.astype(np.float32), weight.astype(np.float32)


def _hue_chroma(lab: Floats) -> tuple[Floats, Floats]:
    hue = np.degrees(np.arctan2(lab[..., 2], lab[..., 1])) % 360
    chroma = np.hypot(lab[..., 1], lab[..., 2])
    return hue.astype(np.float32), chroma.astype(np.float32)


def _cells(values: Floats, cells: int) -> Floats:
    """Means over a grid of `cells` by `cells`, fewer where the picture has fewer pixels."""
    height, width = values.shape
    rows = np.linspace(0, height, min(cells, height) + 1).astype(int)[:-1]
    columns = np.linspace(0, width, min(cells, width) + 1).astype(int)[:-1]
    sums = np.add.reduceat(
        np.add.reduceat(values.astype(np.float64), rows, axis=0), columns, axis=1
    )
    tall = np.diff(np.append(rows, height))[:, None]
    wide = np.diff(np.append(columns, width))[None, :]
    result: Floats = (sums / (tall * wide)).astype(np.float32)
    return result


def _best_centre(lightness: Floats) -> tuple[float, npt.NDArray[np.float64]]:
    height, width = lightness.shape
    short = min(height, width)
    across, down = _gradient(lightness, 0.03 * short)
    strength = np.hypot(across, down)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    keep = strength > max(float(np.percentile(strength, 70)), 0.3)
    rim = 0.03 * short
    keep &= (x > rim) & (x < width - rim) & (y > rim) & (y < height - rim)
    best, sectors = 0.5, np.zeros(12)
    if int(keep.sum()) < 40:
        return best, sectors
    x, y, across, down, strength = x[keep], y[keep], across[keep], down[keep], strength[keep]
    for cy in np.linspace(0.35, 0.65, 5) * height:
        for cx in np.linspace(0.35, 0.65, 5) * width:
            dx, dy = x - cx, y - cy
            radius = np.hypot(dx, dy)
            weight = np.where(
                (radius > 0.1 * short) & (radius < 0.52 * max(height, width)), strength, 0.0
            )
            total = float(weight.sum())
            if total <= 0:
                continue
            along = ((dx * across + dy * down) / (radius * strength + 1e-6)) ** 2
            score = float((weight * along).sum()) / total
            if score > best:
                turn = np.arctan2(dy, dx)
                sectors = np.histogram(
                    turn, bins=12, range=(-np.pi, np.pi), weights=weight * along
                )[0]
                best = score
    return best, sectors

"""Measures of the build of a picture: where the eye is drawn, how full the field is, which way its lines run."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from worker.agents.measures.planes import (
    Floats,
    blur,
    cell_means,
    entropy,
    gradient,
    orientation,
)


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


class Spot(NamedTuple):
    """A place in the picture, x and y from 0 to 1, and how much of the attention it draws."""

    x: float
    y: float
    share: float


def saliency(lab: Floats) -> Floats:
    """Where the eye is drawn, summing to 1: distance from the mean colour, and spectral residual.

    The mean of Achanta et al. 2009 (large subjects) and Hou & Zhang 2007 (small accents), for small Lab pictures. The two
    are weighed alike by their sums, and the residual is taken at the size of the picture: both are our choice.
    """
    short = min(lab.shape[:2])
    blurred = blur(lab, (0.02 * short, 0.02 * short, 0))
    far = np.sqrt(((blurred - lab.mean(axis=(0, 1))) ** 2).sum(axis=2))
    spectrum = np.fft.fft2(lab[..., 0])
    amplitude = np.log(np.abs(spectrum) + 1e-6)
    residual = amplitude - ndimage.uniform_filter(amplitude, 3, mode="wrap")
    odd = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    odd = blur(odd, 0.04 * short)
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


def detail_map(lightness: Floats) -> Floats:
    """Local contrast in L* around each point: the spread within about 5 % of the short side.

    After the clutter measures of Rosenholtz, Li & Nakano 2007. A slight blur keeps paint texture out. Without a grid, on
    whose lines a crop would decide what lies in one cell.
    """
    short = min(lightness.shape)
    calm = blur(lightness, 0.008 * short)
    mean = blur(calm, 0.025 * short)
    spread: Floats = np.sqrt(np.maximum(blur(calm * calm, 0.025 * short) - mean * mean, 0.0))
    return spread


def detail_cover(detail: Floats, least: float = 4.0) -> float:
    """Share of a `detail_map` in which something happens (contrast above `least` L*, by degrees), 0 to 1."""
    return float(np.clip((detail - least) / 2 + 0.5, 0, 1).mean())


def calm_area(detail: Floats, most: tuple[float, ...] = (3.0, 3.5, 4.0)) -> float:
    """The largest connected calm area of a `detail_map`, as a share of the picture, 0 to 1.

    The mean over several limits of calm, so that no single thread of detail decides whether two areas are one.
    """
    return sum(_largest(detail < limit) for limit in most) / len(most)


def _largest(area: npt.NDArray[np.bool_]) -> float:
    """The largest connected part, as a share of all."""
    labels, count = ndimage.label(area)
    return float(np.bincount(labels.ravel())[1:].max() / area.size) if count else 0.0


def detail_unevenness(lightness: Floats) -> float:
    """Spread of the local contrast over a grid of 6 by 6, as a share of its mean, 0 (the same everywhere) upward."""
    calm = blur(lightness, 0.008 * min(lightness.shape))
    power = cell_means(calm * calm, 6) - cell_means(calm, 6) ** 2
    detail = np.sqrt(np.maximum(power, 0.0))
    return float(detail.std() / (detail.mean() + 0.1))


def border_density(on_borders: Floats) -> float:
    """Share of a `border_map` that lies on borders, 0 to 1: edge density as clutter, Rosenholtz et al. 2007."""
    return float(on_borders.mean())


def border_evenness(on_borders: Floats) -> float:
    """How near the emptiest part of the field comes to the mean in borders, 0 (a part has none) to 1 (all alike).

    Share of border points of a `border_map` on a grid of 8 by 8, the 4th percentile over the mean: edge density as clutter, Rosenholtz et
    al. 2007.
    """
    density = cell_means(on_borders, 8)
    return float(np.percentile(density, 4) / (density.mean() + 1e-3))


def border_map(lightness: Floats) -> Floats:
    """How far each point lies on a border, 0 to 1."""
    short = min(lightness.shape)
    across, down = gradient(lightness, 0.006 * short)
    result: Floats = np.clip(np.hypot(across, down) * (short / 160) - 1, 0, 1).astype(np.float32)
    return result


def halving_step(lightness: Floats) -> float:
    """Step in L* along the strongest level border that cuts the field within 4 % of its middle, 0 upward.

    The step that 85 of 100 columns have at least, the same way up: what trees and figures cross is no cut.
    """
    height = lightness.shape[0]
    band = max(2, int(0.025 * height))
    if height < 8 * band:
        return 0.0
    rows = ndimage.uniform_filter1d(lightness, band, axis=0)
    steps = rows[2 * band :] - rows[: -2 * band]
    middle = (np.arange(steps.shape[0]) + band) / height
    steps = steps[np.abs(middle - 0.5) < 0.04]
    steps = steps * np.sign(np.median(steps, axis=1, keepdims=True))
    return max(0.0, float(np.percentile(steps, 15, axis=1).max()))


def structure(lightness: Floats) -> tuple[Floats, Floats]:
    """Which way the coarse structure runs at each point, and how strongly: `orientation` of the masses' borders."""
    return orientation(lightness, 0.012, 0.03)


def direction_shares(angle: Floats, weight: Floats) -> tuple[float, float, float]:
    """Share of the structure that runs level, upright and slantwise (within 15, 15 and 20 degrees), each 0 to 1.

    Of what `structure` finds: the structure tensor (Bigün & Granlund 1987), weighted by strength and coherence;
    slantwise takes the stronger of the two diagonals. A picture without direction has 0.17, 0.17 and 0.22.
    """
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
    angle, weight = structure(lightness)
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
    return entropy(sectors / total) / float(np.log(sectors.size)) if total > 0 else 0.0


def _best_centre(lightness: Floats) -> tuple[float, npt.NDArray[np.float64]]:
    height, width = lightness.shape
    short = min(height, width)
    across, down = gradient(lightness, 0.03 * short)
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

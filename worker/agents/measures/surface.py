"""Measures of the paint itself."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from worker.agents.measures.planes import Floats, blur, cell_means

# Fewer pixels on the short side show only that the file is small.
LEAST_SIDE_FOR_PAINT = 96


# Less fine structure than this a file has that was enlarged or is out of focus, and a smooth picture without any grain,
# which nothing tells from such a file: see `finest_share`.
LEAST_FINEST_SHARE = 0.3


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
    smooth = blur(lightness, 3.0 * unit)
    band = blur(lightness, 0.6 * unit) - smooth
    # Cells on strong borders say something about the motif, not about the paint.
    across, down = np.gradient(smooth)
    motif = cell_means(np.hypot(across, down), 24)
    quiet = motif <= np.percentile(motif, 60)
    power = np.sqrt(np.maximum(cell_means(band * band, 24), 0.0))
    dy, dx = np.gradient(band)
    xx, yy, xy = cell_means(dx * dx, 24), cell_means(dy * dy, 24), cell_means(dx * dy, 24)
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


def finest_share(lightness: Floats) -> float:
    """The contrast that half a pixel of blur takes away, over that between one pixel of blur and two; 0 where there is none.

    What a file shows of its finest scale, by bands as Laws 1980, whatever is painted: soft paint has weave, cracks and grain
    there, an enlarged thumbnail nothing. Of sharp reproductions 0.35 to 0.8.
    """
    finest = lightness - blur(lightness, 0.5)
    coarser = float((blur(lightness, 1.0) - blur(lightness, 2.0)).std())
    return float(finest.std()) / coarser if coarser > 0.01 else 0.0

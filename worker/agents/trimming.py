"""Where in a reproduction the picture lies: even borders (mats, bars, the bed of a scanner) are no part of it.

A frame that was photographed along, with its carving and its shadows, is not recognised.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# Channels of one color differ by so much at most after JPEG, which no ground that somebody painted is even enough for; a
# picture differs from its border by so much at least.
ALIKE, APART = 6, 24
# Of a line of the border so many pixels are alike; along the edge of the picture so many are another color.
EVEN, STRAIGHT = 0.98, 0.6
# Narrower borders are left out with the rim; where less is left, there was no border but an even picture.
LEAST_BORDER, LEAST_LEFT = 0.01, 0.3
# JPEG rings and bleeds around an edge over so many pixels at most: its blocks of color.
RINGING = 16
LEAST_SIDE = 4 * RINGING
# A mat in a page in the bed of a scanner.
MOST_BORDERS = 3

Pixels = npt.NDArray[np.int16]


class Box(NamedTuple):
    """A part of a picture: first and one past last column and row, in pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


def picture_box(rgb: npt.NDArray[np.uint8]) -> Box:
    """Where the picture lies in 8-bit sRGB `(height, width, 3)`; the whole where it has no even border, or is small.

    A border is even (one color, but for JPEG), and ends at a straight edge: along most of it the picture is another
    color. So a black ground from which a figure rises, or the paper around a drawing, is no border.
    """
    pixels = rgb.astype(np.int16)
    found = Box(0, 0, pixels.shape[1], pixels.shape[0])
    outer = found
    for _ in range(MOST_BORDERS):
        within = _within(pixels[outer.top : outer.bottom, outer.left : outer.right])
        if within is None:
            break
        found = Box(
            outer.left + within.left,
            outer.top + within.top,
            outer.left + within.right,
            outer.top + within.bottom,
        )
        # The next border is looked for behind the edge of this one.
        outer = Box(
            found.left + RINGING * (within.left > 0),
            found.top + RINGING * (within.top > 0),
            found.right - RINGING * (found.right < outer.right),
            found.bottom - RINGING * (found.bottom < outer.bottom),
        )
    return found


def _within(pixels: Pixels) -> Box | None:
    """The picture inside one border; None where there is none, or nothing would be left."""
    height, width = pixels.shape[:2]
    if min(height, width) < LEAST_SIDE:
        return None
    runs = [_run(view) for view in _views(pixels)]
    if not any(runs):
        return None
    left, top, right, bottom = runs
    box = Box(left, top, width - right, height - bottom)
    if box.width < LEAST_LEFT * width or box.height < LEAST_LEFT * height:
        return None
    across, down = slice(box.left, box.right), slice(box.top, box.bottom)
    spans = (down, across, down, across)
    views = zip(_views(pixels), runs, spans, strict=True)
    kept = [_edge(view, run, span) for view, run, span in views]
    if not any(kept):
        return None
    left, top, right, bottom = kept
    return Box(left, top, width - right, height - bottom)


def _views(pixels: Pixels) -> tuple[Pixels, Pixels, Pixels, Pixels]:
    """The picture with its left, upper, right and lower side as the first line."""
    turned = pixels.transpose(1, 0, 2)
    return turned, pixels, turned[::-1], pixels[::-1]


def _run(lines: Pixels) -> int:
    """How many lines from the first on have its color; 0 where the border would be narrower than the rim."""
    least = int(np.ceil(LEAST_BORDER * lines.shape[0])) + 1
    color = np.median(lines[0], axis=0)
    # Nearly all pictures end here.
    if not _are_even(lines[:least], color).all():
        return 0
    even = _are_even(lines, color)
    return int(even.argmin()) if not even.all() else lines.shape[0]


def _are_even(lines: Pixels, color: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    even: npt.NDArray[np.bool_] = (_distance(lines, color) <= ALIKE).mean(axis=1) >= EVEN
    return even


def _distance(lines: Pixels, color: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    far: npt.NDArray[np.float64] = np.abs(lines - color).max(axis=2)
    return far


def _edge(lines: Pixels, run: int, span: slice) -> int:
    """The line where the picture begins behind a border of about so many lines, along most of `span`; 0: nowhere."""
    if not run:
        return 0
    color = np.median(lines[0], axis=0)
    apart = _distance(lines[run : run + RINGING, span], color) > APART
    straight = apart.mean(axis=1) >= STRAIGHT
    return run + int(straight.argmax()) if straight.any() else 0

"""How a picture looks, in a few hundred bytes: so that files of one picture are recognised.

A picture that was saved again (another format, size, compression, metadata), trimmed at its edges or
brightened is another file with another hash, and yet the same picture: it must not stand in training and
in test. Two pictures are near the same where one of a few windows onto the one correlates with the whole
of the other. docs/datasets.md says on what the numbers rest.
"""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

Floats: TypeAlias = npt.NDArray[np.float64]
Greys: TypeAlias = npt.NDArray[np.uint8]
Looks: TypeAlias = bytes

GRID = 24
SIZE = GRID * GRID
# What may be missing at each edge, as a share of the side.
CUTS = (0.0, 0.03, 0.06, 0.1)
NEAR = 0.95
"""The correlation from which two pictures are one. Of 120 paintings the two most alike reach 0.94."""
FEW_CELLS, FEW_CUTS, WORTH_A_LOOK = 8, (0.0, 0.06), 0.85
CELLS = 12
FLAT = 2.0
"""Pictures whose grey values spread less than this (of 255) have nothing to compare."""
SPECK = 1e-3
"""A window whose cells are nearer to one tone than this is flat."""


def pixels_of(image: Image.Image) -> str:
    """SHA-256 of what is seen: size, mode and pixels, whatever file they came in."""
    seen = hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode())
    seen.update(image.tobytes())
    return seen.hexdigest()


def looks_of(image: Image.Image) -> bytes:
    """The picture's greys on a grid of 24 by 24, a byte each, rows from above."""
    grey = image.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX, reducing_gap=3.0)
    return grey.convert("L").tobytes()


def greys_of(looks: Sequence[bytes]) -> Greys:
    """Looks as grids of numbers."""
    return np.frombuffer(b"".join(looks), np.uint8).reshape(-1, GRID, GRID)


def has_form(greys: Greys) -> npt.NDArray[np.bool_]:
    """Which pictures have anything to compare: not those of one flat tone."""
    flat = greys.reshape(-1, SIZE)
    total = flat.sum(axis=1, dtype=np.int64)
    squares = np.einsum("ni,ni->n", flat, flat, dtype=np.int64)
    return np.asarray(SIZE * squares - total**2 >= (FLAT * SIZE) ** 2)


def are_near(one: bytes, other: bytes) -> bool:
    """Whether two pictures are near the same: a coarse look does not tell them apart, and one of the
    windows onto the one is like the whole of the other. `app.images.grouping` asks this of many.
    """
    greys = greys_of([one, other])
    if not has_form(greys).all():
        return False
    coarse = likeness(*views_of(greys, FEW_CELLS, FEW_CUTS))
    return coarse >= WORTH_A_LOOK and likeness(*views_of(greys, CELLS, CUTS)) >= NEAR


def likeness(one: Floats, other: Floats) -> float:
    """The best correlation of any window onto one picture with the whole of the other."""
    return float(max((one @ other[0]).max(), (other @ one[0]).max()))


def views_of(greys: Greys, cells: int, cuts: tuple[float, ...]) -> Floats:
    """Windows onto pictures, each averaged to `cells` by `cells` and of mean 0 and length 1, or all 0
    where it is flat; the first is the whole. Shape: pictures, windows, cells squared.
    """
    averaging = _windows(cells, cuts)
    number = len(cuts) ** 2
    views = averaging @ greys.astype(np.float64) @ averaging.T
    views = views.reshape(-1, number, cells, number, cells).transpose(0, 1, 3, 2, 4)
    views = views.reshape(len(greys), number**2, cells**2)
    views -= views.mean(axis=2, keepdims=True)
    lengths = np.sqrt(np.einsum("nwc,nwc->nw", views, views))
    # What is left of a flat window is what rounding left.
    views *= np.where(lengths < SPECK, 0, 1 / np.maximum(lengths, SPECK))[:, :, None]
    return views


@lru_cache
def _windows(cells: int, cuts: tuple[float, ...]) -> Floats:
    """The matrix that averages a grid's side into the cells of each window, one window after the other."""
    return np.concatenate([_average(cells, before, 1 - after) for before in cuts for after in cuts])


def _average(cells: int, start: float, end: float) -> Floats:
    """The matrix that averages the part of a grid's side from `start` to `end` into cells."""
    edges = np.linspace(start * GRID, end * GRID, cells + 1)
    matrix: Floats = np.zeros((cells, GRID))
    for cell in range(cells):
        for at in range(GRID):
            matrix[cell, at] = max(0.0, min(edges[cell + 1], at + 1) - max(edges[cell], at))
    averaging: Floats = matrix / matrix.sum(axis=1, keepdims=True)
    return averaging

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

Floats: TypeAlias = npt.NDArray[np.float32]
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
BLOCK = 512


def pixels_of(image: Image.Image) -> str:
    """SHA-256 of what is seen: size, mode and pixels, whatever file they came in."""
    seen = hashlib.sha256(f"{image.mode} {image.width} {image.height} ".encode())
    seen.update(image.tobytes())
    return seen.hexdigest()


def looks_of(image: Image.Image) -> bytes:
    """The picture's greys on a grid of 24 by 24, a byte each, rows from above."""
    grey = image.convert("RGB").resize((GRID, GRID), Image.Resampling.BOX, reducing_gap=3.0)
    return grey.convert("L").tobytes()


def group_alike(pixels: Sequence[str], looks: Sequence[bytes]) -> list[int]:
    """For each picture the index of the first one of its group: itself, where it is like no earlier one.

    In one group are pictures of equal pixels, pictures that are near the same, and what these join. An
    empty `pixels` or `looks` is like nothing.
    """
    leader = list(range(len(pixels)))

    def find(one: int) -> int:
        while leader[one] != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    def join(one: int, other: int) -> None:
        first, second = sorted((find(one), find(other)))
        leader[second] = first

    seen: dict[str, int] = {}
    for index, each in enumerate(pixels):
        if each:
            join(seen.setdefault(each, index), index)
    for one, other in _near(looks):
        join(one, other)
    return [find(index) for index in range(len(pixels))]


def _near(looks: Sequence[bytes]) -> list[tuple[int, int]]:
    kept = [index for index, each in enumerate(looks) if len(each) == SIZE]
    if len(kept) < 2:
        return []
    grids = np.frombuffer(b"".join(looks[index] for index in kept), np.uint8)
    greys = grids.reshape(-1, GRID, GRID).astype(np.float32)
    rich = greys.std(axis=(1, 2)) >= FLAT
    greys, kept = greys[rich], [index for index, each in zip(kept, rich, strict=True) if each]
    candidates = _candidates(greys)
    views: dict[int, Floats] = {}
    for index in {each for pair in candidates for each in pair}:
        views[index] = _views(greys[index : index + 1], CELLS, CUTS)[0]
    return [
        (kept[one], kept[other])
        for one, other in candidates
        if _likeness(views[one], views[other]) >= NEAR
    ]


def _candidates(greys: Floats) -> list[tuple[int, int]]:
    """Pairs that a coarse look does not tell apart; in blocks, so that memory stays small."""
    views = _views(greys, FEW_CELLS, FEW_CUTS) if len(greys) else np.empty((0, 1, 1), np.float32)
    whole = views[:, 0]
    found: set[tuple[int, int]] = set()
    for start in range(0, len(whole), BLOCK):
        block = views[start : start + BLOCK]
        best = np.full((len(block), len(whole)), -1.0, np.float32)
        for view in range(block.shape[1]):
            np.maximum(best, block[:, view] @ whole.T, out=best)
        for one, other in np.argwhere(best >= WORTH_A_LOOK):
            first, second = int(start + one), int(other)
            if first != second:
                found.add((min(first, second), max(first, second)))
    return sorted(found)


def _likeness(one: Floats, other: Floats) -> float:
    return float(max((one @ other[0]).max(), (other @ one[0]).max()))


def _views(greys: Floats, cells: int, cuts: tuple[float, ...]) -> Floats:
    """Windows onto pictures, each averaged to `cells` by `cells` and of mean 0 and length 1; the first
    is the whole. Shape: pictures, windows, cells squared.
    """
    made = []
    for rows in _windows(cells, cuts):
        for columns in _windows(cells, cuts):
            view = np.einsum("ij,njk,lk->nil", rows, greys, columns, optimize=True)
            view = view.reshape(len(greys), -1)
            view = view - view.mean(axis=1, keepdims=True)
            made.append(view / np.maximum(np.linalg.norm(view, axis=1, keepdims=True), 1e-6))
    return np.stack(made, axis=1).astype(np.float32)


@lru_cache
def _windows(cells: int, cuts: tuple[float, ...]) -> list[Floats]:
    return [_average(cells, before, 1 - after) for before in cuts for after in cuts]


def _average(cells: int, start: float, end: float) -> Floats:
    """The matrix that averages the part of a grid's side from `start` to `end` into cells."""
    edges = np.linspace(start * GRID, end * GRID, cells + 1)
    matrix: Floats = np.zeros((cells, GRID), np.float32)
    for cell in range(cells):
        for at in range(GRID):
            matrix[cell, at] = max(0.0, min(edges[cell + 1], at + 1) - max(edges[cell], at))
    averaging: Floats = (matrix / matrix.sum(axis=1, keepdims=True)).astype(np.float32)
    return averaging

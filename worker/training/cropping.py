"""How much of the pictures is left after they are scaled and cropped, in words."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from worker.training.buckets import Size
from worker.training.examples import read_size

MOST_LOST = 0.25
"""Share of a picture that may fall away without a word: a 4:3 picture in a square loses as much."""


def size_of(picture: Any) -> Size:
    """Width and height of a picture as it is displayed, known or read from its file's header."""
    size: Size = picture.size if hasattr(picture, "size") else read_size(picture.path)
    return size


def share_left(size: Size, target: Size) -> float:
    """The share of a picture's area that is seen after it was scaled to cover `target` and cropped."""
    factor = max(target[0] / size[0], target[1] / size[1])
    return target[0] * target[1] / (size[0] * size[1] * factor**2)


def about_crops(cropped: Iterable[tuple[Any, Size]]) -> list[str]:
    """A sentence on pictures of which much is cut off, and one on those that are enlarged."""
    different = {(picture.path, target): picture for picture, target in cropped}
    with ThreadPoolExecutor(max_workers=8) as pool:
        sizes = list(pool.map(size_of, different.values()))
    places = list(different)
    lefts = [
        (share_left(size, target), path) for (path, target), size in zip(places, sizes, strict=True)
    ]
    return [*_about_lost(lefts), *_about_small(places, sizes)]


def _about_lost(lefts: Sequence[tuple[float, Path]]) -> list[str]:
    lost = [each for each in lefts if each[0] < 1 - MOST_LOST]
    if not lost:
        return []
    least, path = min(lost)
    note = (
        f"{len(lost)} of {len(lefts)} pictures lose more than {MOST_LOST:.0%} of their area when they are "
        f"cropped to the shapes that are trained; of {path} {least:.0%} is left. Raise data.bucket_aspect "
        "or lower data.bucket_step for shapes that are nearer to theirs, or crop such pictures by hand."
    )
    return [note]


def _about_small(places: Sequence[tuple[Path, Size]], sizes: Sequence[Size]) -> list[str]:
    small = [
        (path, size)
        for (path, target), size in zip(places, sizes, strict=True)
        if size[0] < target[0] / 2 or size[1] < target[1] / 2
    ]
    if not small:
        return []
    path, size = min(small, key=lambda each: each[1][0] * each[1][1])
    note = (
        f"{len(small)} of {len(sizes)} pictures are enlarged to more than twice their size; the smallest is "
        f"{path} with {size[0]} x {size[1]} pixels."
    )
    return [note]

"""The kinds of picture the demo painter paints, and what each can be asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from method.painter.easel import Board
from method.painter.interiors import figure, still_life, window
from method.painter.landscapes import avenue, birches, hills, sea, slope
from method.painter.patterns import abstract, rings, wreath
from method.painter.plan import Plan


@dataclass(frozen=True)
class Genre:
    """A kind of picture: the function that blocks it in and what it can be asked for."""

    scene: Callable[[Board, Plan], None]
    compositions: tuple[str, ...]
    hours: tuple[str, ...]
    formats: tuple[str, ...]  # of FORMATS in painter.py
    open_air: bool
    share: float


GENRES: dict[str, Genre] = {
    "sea": Genre(
        sea,
        ("horizontal", "thirds", "symmetric"),
        ("day", "dusk", "night"),
        ("4:3", "3:2"),
        True,
        1.3,
    ),
    "hills": Genre(
        hills,
        ("thirds", "thirds", "horizontal"),
        ("day", "day", "dusk"),
        ("4:3", "3:2", "1:1"),
        True,
        1.5,
    ),
    "slope": Genre(
        slope, ("diagonal",), ("day", "dusk", "night"), ("4:3", "1:1", "3:4"), True, 1.0
    ),
    "birches": Genre(
        birches, ("vertical",), ("day", "day", "dusk"), ("3:4", "1:1", "4:3"), True, 1.0
    ),
    "still life": Genre(
        still_life,
        ("thirds", "thirds", "symmetric"),
        ("day", "dusk", "night"),
        ("4:3", "1:1", "3:4"),
        False,
        1.6,
    ),
    "figure": Genre(
        figure, ("symmetric", "thirds"), ("day", "dusk", "night"), ("3:4", "3:4", "1:1"), False, 1.1
    ),
    "window": Genre(
        window, ("symmetric", "thirds"), ("day", "dusk"), ("3:4", "1:1", "4:3"), False, 1.1
    ),
    "avenue": Genre(avenue, ("symmetric",), ("day", "dusk"), ("3:4", "1:1", "4:3"), True, 0.8),
    "wreath": Genre(
        wreath, ("circular",), ("day", "day", "night"), ("1:1", "1:1", "3:4"), False, 0.8
    ),
    "discs": Genre(rings, ("circular",), ("day",), ("1:1", "1:1"), False, 0.6),
    "abstract": Genre(
        abstract,
        ("diagonal", "thirds", "horizontal", "vertical"),
        ("day",),
        ("3:4", "1:1", "4:3"),
        False,
        1.0,
    ),
}

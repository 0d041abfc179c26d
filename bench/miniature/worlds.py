"""The study's worlds by name."""

from collections.abc import Callable
from functools import lru_cache

from bench.miniature.kinds import World
from bench.miniature.pictures.world import PictureWorld
from bench.miniature.world import make_world

EXACT, PICTURES = "exact", "pictures"
NAMES = (EXACT, PICTURES)


@lru_cache(maxsize=4)
def open_world(name: str, seed: int) -> World:
    """The world of this name and seed. Raises KeyError for another name."""
    makers: dict[str, Callable[[int], World]] = {EXACT: make_world, PICTURES: PictureWorld}
    return makers[name](seed)

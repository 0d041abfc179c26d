"""A large image in tiles: what is looked at closely is sent, and not the whole.

Levels are numbered as in Deep Zoom images: each is half of the next, rounded up, and the last is the image
itself. Only those larger than the `display` are cut, which is shown below them. All tiles of an image are one
object in the storage, so that it is there whole or not at all and goes as one. It begins with MAGIC and the
places of the tiles: 64 bits each, little-endian, one more for the end. The tiles follow: JPEG, the smallest
level first, row by row.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from app.errors import NotFound
from app.images import storage
from app.images.decoding import DISPLAY_SIDE, encode_jpeg

TILE = 512
MAGIC = b"morelli tiles 1\n"
PLACE = struct.Struct("<Q")


@dataclass(frozen=True)
class Level:
    """One level: its number and its size in pixels."""

    number: int
    width: int
    height: int

    @property
    def columns(self) -> int:
        return -(-self.width // TILE)

    @property
    def rows(self) -> int:
        return -(-self.height // TILE)

    def boxes(self) -> Iterator[tuple[int, int, int, int]]:
        """Where each tile lies, in pixels of this level (left, top, right, bottom), row by row."""
        for top in range(0, self.height, TILE):
            for left in range(0, self.width, TILE):
                yield left, top, min(left + TILE, self.width), min(top + TILE, self.height)


def levels_of(width: int, height: int) -> list[Level]:
    """The levels that are cut of an image of this size, the smallest first; none where `display` shows it all."""
    longest = max(width, height)
    last = (longest - 1).bit_length()
    number, levels = last, []
    while longest > DISPLAY_SIDE:
        by = 1 << (last - number)
        levels.append(Level(number, -(-width // by), -(-height // by)))
        number, longest = number - 1, -(-longest // 2)
    return levels[::-1]


def cut(image: Image.Image) -> bytes | None:
    """All tiles of a decoded picture as they are kept; None where it needs none."""
    levels = levels_of(*image.size)
    if not levels:
        return None
    tiles: list[bytes] = []
    shown = image
    for level in reversed(levels):
        if shown.size != (level.width, level.height):
            shown = shown.reduce(2)
        tiles[:0] = [encode_jpeg(shown.crop(box), optimize=False) for box in level.boxes()]
    at = len(MAGIC) + PLACE.size * (len(tiles) + 1)
    places = [at]
    for tile in tiles:
        at += len(tile)
        places.append(at)
    return b"".join([MAGIC, *map(PLACE.pack, places), *tiles])


def are_there(sha256: str, width: int, height: int) -> bool:
    """Whether the tiles of an image of this size lie whole in the storage. Raises Unavailable."""
    key = storage.key_of("tiles", sha256)
    kept = storage.size(key)
    if kept is None:
        return False
    number = sum(level.columns * level.rows for level in levels_of(width, height))
    end = _place_of(number)
    # A disk that was full, or a power cut, leaves a file that is cut.
    if kept < end + PLACE.size or storage.get_part(key, 0, len(MAGIC)) != MAGIC:
        return False
    return bool(PLACE.unpack(storage.get_part(key, end, PLACE.size))[0] == kept)


def read_tile(sha256: str, size: tuple[int, int], *, level: int, column: int, row: int) -> bytes:
    """One tile (JPEG) of an image of `size` (width, height). Raises NotFound, Unavailable."""
    before = 0
    for each in levels_of(*size):
        if each.number == level and column < each.columns and row < each.rows:
            return _read(storage.key_of("tiles", sha256), before + row * each.columns + column)
        before += each.columns * each.rows
    raise NotFound(f"This image has no tile {column}, {row} at level {level}.")


def _place_of(number: int) -> int:
    return len(MAGIC) + PLACE.size * number


def _read(key: str, number: int) -> bytes:
    start, end = struct.unpack("<2Q", storage.get_part(key, _place_of(number), 2 * PLACE.size))
    return storage.get_part(key, start, end - start)

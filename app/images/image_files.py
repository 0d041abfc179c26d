"""Puts an image's bytes into the storage, and gives pages what they show of it."""

import hashlib
import logging
from dataclasses import dataclass

from app.database import Json
from app.errors import AppError, Invalid, NotFound
from app.images import looks, storage, tiles
from app.images.decoding import ImageRefused, decode, derivatives

log = logging.getLogger("morelli.images")


@dataclass(frozen=True)
class Kept:
    """An image whose original and derivatives lie in the storage. Sizes in pixels as seen, and bytes."""

    sha256: str
    format: str
    width: int
    height: int
    bytes: int
    details: Json
    pixels: str
    looks: looks.Looks


def hash_of(data: bytes) -> str:
    """The SHA-256 of a file, in lower-case hexadecimal: its identity and its place in the storage."""
    return hashlib.sha256(data).hexdigest()


def keep(data: bytes) -> Kept:
    """Decode a file and store it with its derivatives. Raises ImageRefused before anything is stored."""
    decoded = decode(data)
    made = derivatives(decoded.image)
    sha256 = hash_of(data)
    storage.put(storage.key_of("original", sha256), data)
    storage.put(storage.key_of("display", sha256), made.display)
    storage.put(storage.key_of("thumb", sha256), made.thumb)
    cut = tiles.cut(decoded.image)
    if cut is not None:
        storage.put(storage.key_of("tiles", sha256), cut)
    return Kept(
        sha256,
        decoded.format,
        decoded.width,
        decoded.height,
        len(data),
        dict(decoded.details),
        looks.pixels_of(decoded.image),
        looks.looks_of(decoded.image),
    )


def mend(sha256: str, data: bytes) -> None:
    """Store a known image's file again where its bytes were lost or damaged."""
    try:
        storage.get_original(sha256)
    except (NotFound, Invalid):
        keep(data)


def read_shown(kind: str, sha256: str) -> bytes:
    """The `display` or `thumb` of an image; made anew from the original where it is missing or cut.

    Raises NotFound where the original is missing too, Invalid where it is damaged.
    """
    try:
        return storage.get_made(kind, sha256)
    except NotFound:
        original = storage.get_original(sha256)
    try:
        made = derivatives(decode(original).image)
    except ImageRefused as error:
        # Decoders and limits change between versions; the row stays, the picture says why.
        raise Invalid(
            f"This image cannot be shown any more. {error.reason}", field="image"
        ) from error
    data = made.display if kind == "display" else made.thumb
    try:
        storage.put(storage.key_of(kind, sha256), data)
    # It can be shown all the same, and is made again the next time.
    except AppError as error:
        log.warning("what was made of an image could not be kept (%s)", type(error).__name__)
    return data

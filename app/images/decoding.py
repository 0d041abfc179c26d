"""Takes the pictures that people bring, within this installation's limits, and makes what pages show of them.

How a file becomes a picture is `method.pictures`' matter, the same for trainer and agents.
"""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from app.settings import settings
from method import pictures
from method.pictures import Decoded, ImageRefused, TooManyPixels

__all__ = ["Decoded", "Derivatives", "ImageRefused", "decode", "derivatives", "encode_jpeg"]

DISPLAY_SIDE = 2048
THUMB_SIDE = 400


@dataclass(frozen=True)
class Derivatives:
    """What pages show: `display` (JPEG, long side at most 2048) and `thumb` (WebP, at most 400)."""

    display: bytes
    thumb: bytes


def decode(data: bytes) -> Decoded:
    """Decode a whole image file. Raises ImageRefused with a reason a person understands."""
    limit = settings().max_image_mb
    if len(data) > limit * 1024 * 1024:
        raise ImageRefused(f"The file is larger than {limit} MiB, the limit of this installation.")
    most = settings().max_image_megapixels
    try:
        return pictures.decode(data, most_pixels=most * 1_000_000)
    except TooManyPixels as error:
        raise ImageRefused(
            f"{error.found} is larger than {most} megapixels, the limit of this installation."
        ) from error


def derivatives(image: Image.Image) -> Derivatives:
    """The two files that pages show of a decoded picture, without any metadata."""
    display = _fit(image, DISPLAY_SIDE)
    thumb = _fit(display, THUMB_SIDE)
    return Derivatives(
        display=encode_jpeg(display, optimize=True),
        thumb=_encode(thumb, "WEBP", quality=80, method=2),
    )


def _fit(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    if scale >= 1:
        return image
    to = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(to, Image.Resampling.LANCZOS, reducing_gap=3.0)


def encode_jpeg(image: Image.Image, *, optimize: bool) -> bytes:
    """A picture as pages show it, without any metadata. To `optimize` saves an eighth and takes twice the time."""
    # Full colour resolution: edges of saturated paint are what experts look at.
    options = {"quality": 90, "subsampling": "4:4:4"}
    if optimize:
        try:
            return _encode(image, "JPEG", optimize=True, **options)
        # The optimising encoder has room for one byte a pixel, which fine grain exceeds.
        except OSError:
            pass
    return _encode(image, "JPEG", **options)


def _encode(image: Image.Image, form: str, **options: Any) -> bytes:
    # A fresh copy: encoders take comments and profiles from `info` when it has any.
    clean = image.copy()
    clean.info = {}
    out = io.BytesIO()
    clean.save(out, form, **options)
    return out.getvalue()

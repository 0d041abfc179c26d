"""From the bytes of a file to an sRGB picture as people see it, and to what pages show of it.

What a file is, is found by decoding it, never by its name. The picture that leaves here has no
EXIF, XMP, ICC profile or comment.
"""

import io
import struct
import threading
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from app.settings import settings
from method import foreign_files

FORMATS = ("JPEG", "PNG", "WEBP")
DISPLAY_SIDE = 2048
THUMB_SIDE = 400
LARGE_PIXELS = 30_000_000
ORIENTATION = 0x0112
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
PNG = b"\x89PNG\r\n\x1a\n"
# What a PNG needs beside its critical chunks (capital first letter) to be seen as its maker saw it.
PNG_SEEN = (b"tRNS", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"eXIf", b"acTL", b"fcTL", b"fdAT")
_large = threading.Lock()
# Profiles of scanners and printers exceed Pillow's limit of 1 MiB; a bomb unfolds no further than this.
PngImagePlugin.MAX_TEXT_CHUNK = 64 * 1024 * 1024
# A bomb is an error, not a warning on standard error.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# What Pillow warns of (odd EXIF, odd palettes) is either noted with the image or of no matter to it.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


class ImageRefused(Exception):
    """A file that is not taken; the message says why, for the person who brought it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Decoded:
    """A picture as seen: 8-bit sRGB, upright, without metadata.

    `width` and `height` are in pixels, `format` is what the file was, `details` holds what had to
    be done to it (`notes`) and the name of its colour profile.
    """

    image: Image.Image
    format: str
    width: int
    height: int
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Derivatives:
    """What pages show: `display` (JPEG, long side at most 2048) and `thumb` (WebP, at most 400)."""

    display: bytes
    thumb: bytes


def decode(data: bytes) -> Decoded:
    """Decode a whole image file. Raises ImageRefused with a reason a person understands."""
    _check_size(data)
    notes: list[str] = []
    opened = _open(data, notes)
    # Large pictures are decoded one at a time, so that a few threads cannot fill the memory.
    if opened.width * opened.height > LARGE_PIXELS:
        with _large:
            return _finish(opened, notes)
    return _finish(opened, notes)


def _check_size(data: bytes) -> None:
    limit = settings().max_image_mb
    if not data:
        raise ImageRefused("The file is empty.")
    if len(data) > limit * 1024 * 1024:
        raise ImageRefused(f"The file is larger than {limit} MiB, the limit of this installation.")


def _open(data: bytes, notes: list[str]) -> ImageFile.ImageFile:
    try:
        opened = _open_seen(data, notes)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise _too_many_pixels() from error
    # A decoder that reads hostile bytes raises anything; whatever it is, this file is refused.
    except Exception as error:
        raise ImageRefused(_what_it_is(data)) from error
    if opened.width * opened.height > settings().max_image_megapixels * 1_000_000:
        raise _too_many_pixels(opened.width, opened.height)
    return opened


def _open_seen(data: bytes, notes: list[str]) -> ImageFile.ImageFile:
    if not data.startswith(PNG):
        return Image.open(io.BytesIO(data), formats=FORMATS)
    try:
        opened = Image.open(io.BytesIO(_only_chunks(data, PNG_SEEN)), formats=FORMATS)
        # Pillow passes over a profile that zlib cannot read, and leaves nothing of it.
        if opened.info.get("icc_profile", PNG):
            return opened
    except (ValueError, SyntaxError, OSError, struct.error):
        # A profile that cannot be unfolded says nothing against the pixels.
        without = tuple(each for each in PNG_SEEN if each != b"iCCP")
        opened = Image.open(io.BytesIO(_only_chunks(data, without)), formats=FORMATS)
    notes.append("its colour profile cannot be read; taken as sRGB")
    return opened


def _only_chunks(png: bytes, kept: tuple[bytes, ...]) -> bytes:
    """A PNG without the optional chunks that are not `kept`: texts of programs that a limit would refuse."""
    pieces, at, start = [png[:8]], 8, 8
    while at + 12 <= len(png):
        kind = png[at + 4 : at + 8]
        end = at + 12 + int.from_bytes(png[at : at + 4], "big")
        # Bit 5 of the first letter marks what a reader may leave out.
        if kind[0] & 0x20 and kind not in kept:
            pieces.append(png[start:at])
            start = end
        at = end
    pieces.append(png[start:])
    return b"".join(pieces) if len(pieces) > 2 else png


def _too_many_pixels(width: int = 0, height: int = 0) -> ImageRefused:
    limit = settings().max_image_megapixels
    found = f" of {width} × {height} pixels" if width else ""
    return ImageRefused(
        f"The picture{found} is larger than {limit} megapixels, the limit of this installation."
    )


def _what_it_is(data: bytes) -> str:
    found = foreign_files.describe(data)
    if found:
        what, hint = found
        return f"This is {what}, not a JPEG, PNG or WebP image. {hint}".strip()
    if data.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF")):
        return "The file is damaged: it begins like an image but cannot be read."
    return "This is not a JPEG, PNG or WebP image."


def _finish(opened: ImageFile.ImageFile, notes: list[str]) -> Decoded:
    details: dict[str, Any] = {}
    if getattr(opened, "n_frames", 1) > 1 and opened.format != "MPO":
        notes.append("animated: the first frame was taken")
    try:
        opened.load()
        upright = _turn(opened, notes)
        image = _to_srgb(upright, opened.info.get("icc_profile"), notes, details)
    # As in _open: a damaged file must not stop the others.
    except Exception as error:
        raise ImageRefused(
            "The file is damaged or cut short: it cannot be decoded to its end."
        ) from error
    image.info = {}
    if notes:
        details["notes"] = notes
    form = "JPEG" if opened.format == "MPO" else str(opened.format)
    return Decoded(image, form, image.width, image.height, details)


def _turn(image: Image.Image, notes: list[str]) -> Image.Image:
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    # EXIF is the part of a photo most often broken, and the picture is fine without it.
    except Exception:  # noqa: BLE001
        notes.append("the EXIF block cannot be read; the picture was taken as it lies")
        return image
    turn = TURNS.get(orientation)
    if turn is None:
        return image
    notes.append(f"turned upright (EXIF orientation {orientation})")
    return image.transpose(turn)


def _to_srgb(
    image: Image.Image, profile: bytes | None, notes: list[str], details: dict[str, Any]
) -> Image.Image:
    image = _to_8_bit(image, notes)
    alpha = None
    if image.has_transparency_data:
        # Unmultiplied colours are converted first and laid on white then, as paper would be.
        image = image.convert("RGBA") if image.mode != "LA" else image
        alpha = image.getchannel("A")
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
        notes.append("transparent parts were laid on white")
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    colour = _apply_profile(image, profile, notes, details)
    if alpha is None:
        return colour
    white = Image.new("RGB", colour.size, (255, 255, 255))
    white.paste(colour, mask=alpha)
    return white


def _to_8_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return image
    # Pillow clips instead of scaling when it converts 16 bits to 8. PNG's 16-bit greys span 0..65535.
    values = np.asarray(image).astype(np.float32) / 257.0
    notes.append("16 bits per channel were reduced to 8")
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))


def _apply_profile(
    image: Image.Image, profile: bytes | None, notes: list[str], details: dict[str, Any]
) -> Image.Image:
    if profile:
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = ImageCms.getProfileDescription(source).strip()[:120]
            # The name comes from the file; a zero byte in it could not be stored.
            details["profile"] = "".join(c if c.isprintable() else "\ufffd" for c in name)
            if image.mode == "L" and source.profile.xcolor_space.strip() == "RGB":
                image = image.convert("RGB")
            converted = ImageCms.profileToProfile(
                image,
                source,
                ImageCms.createProfile("sRGB"),
                renderingIntent=ImageCms.Intent.PERCEPTUAL,
                outputMode="RGB",
            )
            assert converted is not None
            return converted
        # LittleCMS and Pillow raise several kinds; the picture is shown as sRGB, and says so.
        except Exception:  # noqa: BLE001
            details.pop("profile", None)
            notes.append("its colour profile is broken or of another kind; taken as sRGB")
    elif image.mode == "CMYK":
        notes.append("CMYK without a colour profile: the colours are a guess")
    return image.convert("RGB")


def derivatives(image: Image.Image) -> Derivatives:
    """The two files that pages show of a decoded picture, without any metadata."""
    display = _fit(image, DISPLAY_SIDE)
    thumb = _fit(display, THUMB_SIDE)
    return Derivatives(
        # Full colour resolution: edges of saturated paint are what experts look at.
        display=_encode_jpeg(display),
        thumb=_encode(thumb, "WEBP", quality=80, method=2),
    )


def _fit(image: Image.Image, side: int) -> Image.Image:
    scale = side / max(image.size)
    if scale >= 1:
        return image
    to = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(to, Image.Resampling.LANCZOS, reducing_gap=3.0)


def _encode_jpeg(image: Image.Image) -> bytes:
    options = {"quality": 90, "subsampling": "4:4:4"}
    try:
        return _encode(image, "JPEG", optimize=True, **options)
    # The optimising encoder has room for one byte a pixel, which fine grain exceeds.
    except OSError:
        return _encode(image, "JPEG", **options)


def _encode(image: Image.Image, form: str, **options: Any) -> bytes:
    # A fresh copy: encoders take comments and profiles from `info` when it has any.
    clean = image.copy()
    clean.info = {}
    out = io.BytesIO()
    clean.save(out, form, **options)
    return out.getvalue()

"""The one reader of pictures: from a file's bytes to the 8-bit sRGB picture that people see.

Pages, trainer, agents, pairs and evaluation all see what leaves here: upright, with its colour profile
applied, what is transparent on white, 16 bits scaled to 8, without EXIF, XMP, profile or comment. What
a file is, is found by decoding it, never by its name.
"""

import functools
import io
import mmap
import struct
import threading
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms, ImageFile, PngImagePlugin

from method import foreign_files

FORMATS = ("JPEG", "PNG", "WEBP")
"""What people may bring."""
LARGE_PIXELS = 30_000_000
MOST_TIMES = 4
"""A picture scaled to cover a size is scaled whole up to so many times the size's pixels."""
# Pixels of four bytes: what is being made, what it is made from, and what a decoder has beside it.
BYTES_TO_DECODE = 3 * 4
ORIENTATION = 0x0112
# From here on orientations swap width and height.
FIRST_TURNED = 5
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
# What is too large is said below, with the limit that holds there.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
# What Pillow warns of (odd EXIF, odd palettes) is either noted with the image or of no matter to it.
warnings.filterwarnings("ignore", category=UserWarning, module="PIL")


class ImageRefused(Exception):
    """A file that is not taken; the message says why, for the person who brought it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class TooManyPixels(ImageRefused):
    """A picture over the limit of pixels; `found` says its size, where that is known."""

    def __init__(self, size: tuple[int, int] | None, limit: int) -> None:
        self.found = f"The picture of {size[0]} × {size[1]} pixels" if size else "The picture"
        super().__init__(f"{self.found} has more than {limit:,} pixels.")


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


def decode(
    data: bytes, *, formats: tuple[str, ...] | None = FORMATS, most_pixels: int | None = None
) -> Decoded:
    """Decode a whole image file of one of `formats` (None: of any that Pillow knows).

    `most_pixels` is twice what Pillow calls a bomb unless it is said. Raises ImageRefused with a reason a
    person understands, and MemoryError where the machine, not the file, is at fault.
    """
    if not data:
        raise ImageRefused("The file is empty.")
    notes: list[str] = []
    opened = _open(data, formats, most_pixels, notes)
    # Large pictures are decoded one at a time, so that a few threads cannot fill the memory.
    if opened.width * opened.height > LARGE_PIXELS:
        with _large:
            return _finish(opened, notes)
    return _finish(opened, notes)


def as_seen(image: Image.Image) -> Image.Image:
    """The same for a picture that is open already, or was made: 8-bit RGB, upright, without metadata."""
    return _as_seen(image, [], {})


def read_size(path: Path) -> tuple[int, int]:
    """Width and height of a picture as `decode` gives it, from the file's headers alone.

    Raises ImageRefused where they are none, and OSError where the file cannot be read.
    """
    with path.open("rb") as file:
        if file.read(len(PNG)) == PNG:
            width, height, orientation = _read_png_headers(file)
        else:
            file.seek(0)
            try:
                with Image.open(file) as opened:
                    (width, height), orientation = opened.size, _orientation(opened)
            except MemoryError:
                raise
            # A decoder that reads hostile bytes raises anything.
            except Exception as error:
                _blame_memory_where_it_is_short(_webp_size(_start_of(path)), error)
                raise ImageRefused(_what_it_is(_start_of(path))) from error
    return (height, width) if orientation >= FIRST_TURNED else (width, height)


def scale_to_cover(image: Image.Image, size: tuple[int, int]) -> tuple[Image.Image, int, int]:
    """A picture scaled until it covers `size` (width, height), cropped to its middle; then how much of the
    scaled picture lies left of and above the crop, in pixels.

    Of a strip only what stays is scaled: all of it could fill the memory.
    """
    factor = max(size[0] / image.width, size[1] / image.height)
    scaled = (
        max(size[0], round(image.width * factor)),
        max(size[1], round(image.height * factor)),
    )
    left, top = (scaled[0] - size[0]) // 2, (scaled[1] - size[1]) // 2
    if scaled[0] * scaled[1] <= MOST_TIMES * size[0] * size[1]:
        whole = image.resize(scaled, Image.Resampling.LANCZOS)
        return whole.crop((left, top, left + size[0], top + size[1])), left, top
    across, down = image.width / scaled[0], image.height / scaled[1]
    # Rounding may end the box a hair outside of the picture, which Pillow refuses.
    box = (
        left * across,
        top * down,
        min((left + size[0]) * across, image.width),
        min((top + size[1]) * down, image.height),
    )
    return image.resize(size, Image.Resampling.LANCZOS, box=box), left, top


# Opening ------------------------------------------------------------------------------------------


def _open(
    data: bytes, formats: tuple[str, ...] | None, most_pixels: int | None, notes: list[str]
) -> ImageFile.ImageFile:
    limit = most_pixels or 2 * (Image.MAX_IMAGE_PIXELS or 2**31)
    try:
        opened = _open_seen(data, formats, notes)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise TooManyPixels(None, limit) from error
    # A machine that is short of memory says nothing about the file.
    except MemoryError:
        raise
    # A decoder that reads hostile bytes raises anything; whatever it is, this file is refused.
    except Exception as error:
        _blame_memory_where_it_is_short(_webp_size(data), error)
        raise ImageRefused(_what_it_is(data)) from error
    if opened.width * opened.height > limit:
        raise TooManyPixels(opened.size, limit)
    return opened


def _open_seen(
    data: bytes, formats: tuple[str, ...] | None, notes: list[str]
) -> ImageFile.ImageFile:
    if not data.startswith(PNG):
        return Image.open(io.BytesIO(data), formats=formats)
    try:
        opened = Image.open(io.BytesIO(_only_chunks(data, PNG_SEEN)), formats=("PNG",))
        # Pillow passes over a profile that zlib cannot read, and leaves nothing of it.
        if opened.info.get("icc_profile", PNG):
            return opened
    except (ValueError, SyntaxError, OSError, struct.error):
        # A profile that cannot be unfolded says nothing against the pixels.
        without = tuple(each for each in PNG_SEEN if each != b"iCCP")
        opened = Image.open(io.BytesIO(_only_chunks(data, without)), formats=("PNG",))
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


def _what_it_is(data: bytes) -> str:
    found = foreign_files.describe(data)
    if found:
        what, hint = found
        return f"This is {what}, not a JPEG, PNG or WebP image. {hint}".strip()
    if data.startswith((b"\xff\xd8", b"\x89PNG", b"RIFF")):
        return "The file is damaged: it begins like an image but cannot be read."
    return "This is not a JPEG, PNG or WebP image."


def _read_png_headers(file: BinaryIO) -> tuple[int, int, int]:
    """Width, height and orientation of a PNG whose signature has been read; the last may stand behind the pixels."""
    width = height = 0
    orientation = 1
    while len(head := file.read(8)) == 8:
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        if kind == b"IHDR":
            width, height = struct.unpack(">II", file.read(13)[:8].ljust(8, b"\0"))
            length -= 13
        elif kind == b"eXIf":
            orientation = _orientation_in(file.read(min(length, 1 << 20)))
            break
        file.seek(length + 4, 1)
    if not width or not height:
        raise ImageRefused("The file is damaged: it begins like an image but cannot be read.")
    return width, height, orientation


def _orientation_in(exif: bytes) -> int:
    found = Image.Exif()
    try:
        found.load(exif)
        return int(found.get(ORIENTATION, 1))
    # As in _turn: the picture is fine without it.
    except Exception:  # noqa: BLE001
        return 1


def _orientation(opened: Image.Image) -> int:
    try:
        return int(opened.getexif().get(ORIENTATION, 1))
    except Exception:  # noqa: BLE001  # as above
        return 1


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(4096)


def _blame_memory_where_it_is_short(size: tuple[int, int], error: Exception) -> None:
    """Raise MemoryError where a picture of this size may have failed for want of memory.

    Some decoders (WebP, progressive JPEG) say the same of that as of a damaged file. So the memory is asked
    for what decoding needs; nothing is written to it, so where there is enough this costs nothing.
    """
    needed = size[0] * size[1] * BYTES_TO_DECODE
    try:
        mmap.mmap(-1, max(needed, 1)).close()
    except (OSError, OverflowError):
        raise MemoryError from error


def _webp_size(data: bytes) -> tuple[int, int]:
    """What a WebP says of its size, which Pillow tells only where there was memory for the whole; (0, 0) for others."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return 0, 0
    little = functools.partial(int.from_bytes, byteorder="little")
    if data[12:16] == b"VP8X":
        return little(data[24:27]) + 1, little(data[27:30]) + 1
    if data[12:16] == b"VP8L":
        bits = little(data[21:25])
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return little(data[26:28]) & 0x3FFF, little(data[28:30]) & 0x3FFF


# Decoding -----------------------------------------------------------------------------------------


def _finish(opened: ImageFile.ImageFile, notes: list[str]) -> Decoded:
    details: dict[str, Any] = {}
    if getattr(opened, "n_frames", 1) > 1 and opened.format != "MPO":
        notes.append("animated: the first frame was taken")
    try:
        image = _as_seen(opened, notes, details)
    except MemoryError:
        raise
    # As in _open: a damaged file must not stop the others.
    except Exception as error:
        _blame_memory_where_it_is_short(opened.size, error)
        raise ImageRefused(
            "The file is damaged or cut short: it cannot be decoded to its end."
        ) from error
    if notes:
        details["notes"] = notes
    form = "JPEG" if opened.format == "MPO" else str(opened.format)
    return Decoded(image, form, image.width, image.height, details)


def _as_seen(image: Image.Image, notes: list[str], details: dict[str, Any]) -> Image.Image:
    image.load()
    profile = image.info.get("icc_profile")
    seen = _to_srgb(_turn(image, notes), profile, notes, details)
    seen.info = {}
    return seen


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
        if image.mode == "La":
            image = image.convert("LA")
        image = image.convert("RGBA") if image.mode != "LA" else image
        alpha = image.getchannel("A")
        image = image.convert("RGB" if image.mode == "RGBA" else "L")
        notes.append("transparent parts were laid on white")
    elif image.mode == "LAB":
        image = _from_lab(image)
    elif image.mode not in ("L", "RGB", "CMYK"):
        image = image.convert("RGB")
    colour = _apply_profile(image, profile, notes, details)
    if alpha is None:
        return colour
    white = Image.new("RGB", colour.size, (255, 255, 255))
    white.paste(colour, mask=alpha)
    return white


def _from_lab(image: Image.Image) -> Image.Image:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    converted = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB")
    assert converted is not None
    return converted


def _to_8_bit(image: Image.Image, notes: list[str]) -> Image.Image:
    if image.mode not in ("I", "F") and not image.mode.startswith("I;"):
        return image
    values = np.nan_to_num(np.asarray(image).astype(np.float32), posinf=0.0, neginf=0.0)
    scaled = np.clip(np.rint(values * _step(values, image)), 0, 255).astype(np.uint8)
    notes.append("more than 8 bits per channel were reduced to 8")
    grey = Image.fromarray(scaled)
    clear = image.info.get("transparency")
    if not isinstance(clear, int):
        return grey
    grey.putalpha(Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8)))
    return grey


def _step(values: np.ndarray[Any, Any], image: Image.Image) -> float:
    """What a value is multiplied by to come to 0..255; Pillow clips instead of scaling.

    16 bits span 0..65535, however dark the picture is. Numbers of 32 bits do not say what white is: it is
    the least of what programs write that no value exceeds.
    """
    is_16_bit = image.mode.startswith("I;16") or getattr(image, "format", None) == "PNG"
    whites = (65535.0,) if is_16_bit else (255.0, 65535.0, 2.0**31 - 1, 2.0**32 - 1)
    if image.mode == "F":
        whites = (1.0, *whites)
    most = float(values.max(initial=0.0))
    return 255.0 / next((white for white in whites if most <= white), max(most, whites[-1]))


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
        except MemoryError:
            raise
        # LittleCMS and Pillow raise several kinds; the picture is shown as sRGB, and says so.
        except Exception as error:  # noqa: BLE001
            _blame_memory_where_it_is_short(image.size, error)
            details.pop("profile", None)
            notes.append("its colour profile is broken or of another kind; taken as sRGB")
    elif image.mode == "CMYK":
        notes.append("CMYK without a colour profile: the colours are a guess")
    return image.convert("RGB")

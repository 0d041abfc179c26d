"""Files made in code: good, odd and hostile ones."""

import io
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from PIL import Image

ORIENTATION, MAKE, GPS = 0x0112, 0x010F, 0x8825


def picture(width: int = 60, height: int = 40, seed: int = 0) -> Image.Image:
    """A picture that differs by seed and whose left half is redder than its right."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 60, (height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2, 0] += 150
    return Image.fromarray(pixels)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    """The image as a file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def png(seed: int = 0, **size: int) -> bytes:
    """A small PNG."""
    return encoded(picture(seed=seed, **size))


def photo(orientation: int = 1, seed: int = 0, size: tuple[int, int] = (60, 40)) -> bytes:
    """A camera's JPEG: EXIF with orientation, make and position, XMP, and a comment."""
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    exif[MAKE] = "SECRETCAM"
    exif.get_ifd(GPS)[1] = "N"
    exif.get_ifd(GPS)[2] = (48.0, 51.0, 30.0)
    return encoded(
        picture(*size, seed=seed),
        "JPEG",
        quality=95,
        exif=exif,
        xmp=b"<x:xmpmeta>SECRETXMP</x:xmpmeta>",
        comment=b"SECRETCOMMENT",
    )


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def bomb(width: int = 50_000, height: int = 50_000) -> bytes:
    """A PNG of a few hundred bytes that says it is very large."""
    head = struct.pack(">LLBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(b"\0" * 100_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def _xyz(signature: bytes, x: float, y: float, z: float) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(struct.pack(">l", round(v * 65536)) for v in (x, y, z))


def swapped_profile() -> bytes:
    """A valid ICC matrix profile whose red and green primaries are sRGB's green and red."""
    red, green, blue = (0.436, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
    curve = b"curv\0\0\0\0" + struct.pack(">LH", 1, round(2.2 * 256)) + b"\0\0"
    text = b"swap\x01ped\0"
    description = b"desc\0\0\0\0" + struct.pack(">L", len(text)) + text + b"\0" * 78
    tags = {
        b"desc": description + b"\0" * (-len(description) % 4),
        b"wtpt": _xyz(b"wtpt", 0.9642, 1.0, 0.8249),
        b"rXYZ": _xyz(b"rXYZ", *green),
        b"gXYZ": _xyz(b"gXYZ", *red),
        b"bXYZ": _xyz(b"bXYZ", *blue),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
    }
    at = 128 + 4 + 12 * len(tags)
    table, bodies = struct.pack(">L", len(tags)), b""
    for signature, body in tags.items():
        table += signature + struct.pack(">LL", at + len(bodies), len(body))
        bodies += body
    head = struct.pack(
        ">L4sL4s4s4s", at + len(bodies), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28
    head += struct.pack(">lll", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + bodies


def archive(files: dict[str, bytes], **attributes: int) -> bytes:
    """A ZIP archive; `attributes` gives an entry (by name) its external attributes."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = attributes.get(name, 0o100644 << 16)
            made.writestr(info, data)
    return out.getvalue()


HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = (
    b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
)

"""The one reader of pictures: what every kind of file becomes, its size from headers, and crops of it."""

import io
import resource
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageCms

from method.pictures import ImageRefused, TooManyPixels, as_seen, decode, read_size, scale_to_cover

RAMP = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (32, 1))
GREY = Image.fromarray(RAMP)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def seen(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(decode(data, formats=None).image).astype(int)


def chunk(kind: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


GREYS = {
    "16 bits": encoded(Image.fromarray(RAMP.astype(np.uint16) * 257)),
    "16 bits in a TIFF": encoded(Image.fromarray(RAMP.astype(np.uint16) * 257), "TIFF"),
    "32 bits": encoded(Image.fromarray(RAMP.astype(np.int32) * 257), "TIFF"),
    "32 bits for 8": encoded(Image.fromarray(RAMP.astype(np.int32)), "TIFF"),
    "floats to 1": encoded(Image.fromarray((RAMP / 255).astype(np.float32)), "TIFF"),
    "floats to 255": encoded(Image.fromarray(RAMP.astype(np.float32)), "TIFF"),
    "opaque": encoded(Image.merge("LA", (GREY, Image.new("L", GREY.size, 255)))),
    "a palette": encoded(GREY.convert("P")),
    "RGBA": encoded(GREY.convert("RGBA")),
    "WebP": encoded(GREY.convert("RGB"), "WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", GREYS)
def test_a_grey_is_the_same_grey_in_every_kind_of_file(kind: str) -> None:
    assert np.abs(seen(GREYS[kind]) - RAMP[..., None]).max() <= 1


def test_a_dark_picture_of_16_bits_stays_dark() -> None:
    assert seen(encoded(Image.fromarray(np.full((4, 4), 200, np.uint16)))).max() == 1


def test_numbers_that_are_none_are_black() -> None:
    values = np.array([[np.nan, np.inf, -np.inf, -3, 1]], dtype=np.float32)
    assert np.asarray(as_seen(Image.fromarray(values)))[0, :, 0].tolist() == [0, 0, 0, 0, 255]


def test_the_transparent_value_of_16_bits_is_transparent() -> None:
    rows = b"".join(b"\0" + struct.pack(">2H", 0, 40000) for _ in range(2))
    data = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 16, 0, 0, 0, 0))
        + chunk(b"tRNS", struct.pack(">H", 0))
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    assert seen(data)[0, :, 0].tolist() == [255, 156]


def test_a_profile_counts_whatever_carries_the_colours() -> None:
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * profile[131], 12)}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    profile[red + 4 : red + 12], profile[blue + 4 : blue + 12] = (
        profile[blue + 4 : blue + 12],
        profile[red + 4 : red + 12],
    )
    icc: dict[str, Any] = {"icc_profile": bytes(profile)}
    plain = Image.new("RGB", (8, 8), (200, 60, 40))
    expected = seen(encoded(plain, **icc))
    assert np.abs(expected - np.asarray(plain).astype(int)).max() > 50
    for image in (plain.convert("RGBA"), plain.quantize(4)):
        assert np.abs(seen(encoded(image, **icc)) - expected).max() <= 2


@pytest.mark.parametrize("mode", ["1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX"])
@pytest.mark.parametrize("more", ["CMYK", "YCbCr", "HSV", "LAB", "I", "F", "I;16"])
def test_every_mode_is_seen_as_rgb(mode: str, more: str) -> None:
    for each in (mode, more):
        found = as_seen(Image.new(each, (5, 3)))
        assert (found.mode, found.size, found.info) == ("RGB", (5, 3), {})


def test_a_picture_over_a_limit_is_told_by_its_size() -> None:
    with pytest.raises(TooManyPixels, match="64 × 32 pixels has more than 2,000"):
        decode(encoded(GREY), most_pixels=2000)
    assert decode(encoded(GREY), most_pixels=64 * 32).width == 64


# Sizes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", range(1, 9))
def test_an_orientation_behind_the_pixels_is_seen_from_the_headers(
    tmp_path: Path, turn: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encoded(GREY)
    end = data.rindex(b"IEND") - 4
    path = tmp_path / "late.png"
    path.write_bytes(data[:end] + chunk(b"eXIf", exif.tobytes()) + data[end:])
    assert read_size(path) == decode(path.read_bytes()).image.size


def test_what_has_no_size_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "picture"
    for content in (b"", b"words", b"\x89PNG\r\n\x1a\n", b"\x89PNG\r\n\x1a\n" + bytes(40)):
        path.write_bytes(content)
        with pytest.raises(ImageRefused):
            read_size(path)


# Crops --------------------------------------------------------------------------------------------

WANTED = [(64, 64), (96, 48), (48, 96)]


@pytest.mark.parametrize("wanted", WANTED)
@pytest.mark.parametrize("size", [(900, 7), (7, 900), (3000, 1), (1, 3000), (1, 1), (500, 100)])
def test_a_strip_is_cropped_as_if_all_of_it_were_scaled(
    size: tuple[int, int], wanted: tuple[int, int]
) -> None:
    # By the shape Pillow chooses which way it scales first, which moves single values where it clips.
    image = Image.effect_noise(size, 15).convert("RGB")
    found, left, top = scale_to_cover(image, wanted)
    factor = max(wanted[0] / size[0], wanted[1] / size[1])
    scaled = tuple(max(w, round(s * factor)) for w, s in zip(wanted, size, strict=True))
    whole = image.resize((scaled[0], scaled[1]), Image.Resampling.LANCZOS)
    expected = whole.crop((left, top, left + wanted[0], top + wanted[1]))
    assert (left, top) == ((scaled[0] - wanted[0]) // 2, (scaled[1] - wanted[1]) // 2)
    difference = np.asarray(found).astype(int) - np.asarray(expected).astype(int)
    assert found.size == wanted and np.abs(difference).mean() < 0.5


@pytest.mark.parametrize("size", [(40_000, 12), (12, 40_000), (100_000, 1)])
def test_a_long_strip_takes_little_memory(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (9, 99, 199))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found, _, _ = scale_to_cover(image, (1408, 704))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
    assert found.getpixel((700, 300)) == (9, 99, 199)


SHORT_OF_MEMORY = """
import pathlib, resource, sys
from method.pictures import decode

large, small, more = sys.argv[1:]
data = pathlib.Path(large).read_bytes()
decode(pathlib.Path(small).read_bytes())
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + int(more) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    print(decode(data).details)
except Exception as error:
    print(repr(error))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
@pytest.mark.parametrize("more", [20, 150])
def test_a_machine_short_of_memory_blames_no_file(tmp_path: Path, form: str, more: int) -> None:
    """With room for no pixels at all, and with room for them but not for their colours' conversion."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    large, small = tmp_path / "large", tmp_path / "small"
    for path, side in ((large, 6000), (small, 8)):
        image = Image.new("RGB", (side, side), "red")
        path.write_bytes(encoded(image, form, icc_profile=profile))
    program = [sys.executable, "-c", SHORT_OF_MEMORY, str(large), str(small), str(more)]
    said = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert said.strip() == "MemoryError()"

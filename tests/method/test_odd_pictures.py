"""Pictures of any mode, form and damage: seen as 8-bit RGB, or refused in a sentence; nothing else."""

import io
import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from method.pictures import FORMATS, Decoded, ImageRefused, decode

CHANNELS = {"1": 1, "L": 1, "P": 1, "LA": 2, "RGB": 3, "YCbCr": 3, "LAB": 3, "RGBA": 4, "CMYK": 4}
NUMBERS = {"I;16": np.uint16, "I": np.int32, "F": np.float32}
PROFILES = (None, b"x", b"\0" * 200, b"\0\0\2\0" * 60, b"\xff" * 2_000_000)


def picture(mode: str, size: tuple[int, int], seed: int) -> Image.Image:
    width, height = size
    noise = np.random.default_rng(seed).integers(0, 256, width * height * 4, dtype=np.uint8)
    if mode in NUMBERS:
        values = noise.view(NUMBERS[mode])[: width * height]
        return Image.fromarray(values.reshape(height, width).copy())
    if mode == "1":
        return picture("L", size, seed).convert("1")
    return Image.frombytes(mode, size, noise[: width * height * CHANNELS[mode]].tobytes())


@settings(max_examples=150, deadline=None)
@given(
    mode=st.sampled_from([*CHANNELS, *NUMBERS]),
    size=st.sampled_from([(1, 1), (1, 4000), (4000, 1), (3, 700), (17, 33)]),
    form=st.sampled_from(["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"]),
    profile=st.sampled_from(PROFILES),
    orientation=st.integers(0, 9),
    damage=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=3),
    kept=st.sampled_from([1.0, 1.0, 0.9, 0.3]),
    seed=st.integers(0, 2**16),
)
def test_it_is_seen_or_refused_in_a_sentence(
    mode: str,
    size: tuple[int, int],
    form: str,
    profile: bytes | None,
    orientation: int,
    damage: list[tuple[float, int]],
    kept: float,
    seed: int,
) -> None:
    exif = Image.Exif()
    exif[0x112] = orientation
    out = io.BytesIO()
    try:
        picture(mode, size, seed).save(out, form, exif=exif, icc_profile=profile)
    except (OSError, ValueError, TypeError, KeyError):
        return  # this form has no such mode, or no room for such a profile
    data = bytearray(out.getvalue())
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    damaged = bytes(data[: int(len(data) * kept)])
    for formats in (FORMATS, None):
        found = decoded(damaged, formats)
        if isinstance(found, ImageRefused):
            assert found.reason.strip()
        else:
            assert found.image.mode == "RGB" and not found.image.info
            assert found.image.size == (found.width, found.height)


def decoded(data: bytes, formats: tuple[str, ...] | None) -> Decoded | ImageRefused:
    """The picture or the refusal; whatever else is raised fails the test."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return decode(data, formats=formats)
    except ImageRefused as refused:
        return refused

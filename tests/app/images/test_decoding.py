"""What a file becomes: upright 8-bit sRGB without metadata, or a reason."""

import io
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from app.images.decoding import ImageRefused, decode, derivatives
from app.settings import settings
from tests.app.images import corpus
from tests.app.images.corpus import encoded, picture


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MORELLI_MAX_IMAGE_MEGAPIXELS", "MORELLI_MAX_IMAGE_MB"):
        monkeypatch.delenv(name, raising=False)


def pixel(image: Image.Image, x: int, y: int) -> tuple[int, ...]:
    value = image.getpixel((x, y))
    assert isinstance(value, tuple)
    return value


def refusal(data: bytes) -> str:
    with pytest.raises(ImageRefused) as refused:
        decode(data)
    return refused.value.reason


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_takes_the_three_formats(form: str) -> None:
    decoded = decode(encoded(picture(), form))
    assert (decoded.format, decoded.width, decoded.height) == (form, 60, 40)
    assert decoded.image.mode == "RGB" and decoded.details == {}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turns_every_exif_orientation_upright(orientation: int) -> None:
    upright = Image.new("RGB", (60, 40), (0, 0, 0))
    upright.paste((255, 0, 0), (0, 0, 20, 15))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[corpus.ORIENTATION] = orientation
    lying = upright.transpose(undo[orientation]) if orientation > 1 else upright
    decoded = decode(encoded(lying, "JPEG", quality=95, exif=exif))
    assert (decoded.width, decoded.height) == (60, 40)
    assert pixel(decoded.image, 5, 5)[0] > 200
    assert max(pixel(decoded.image, 50, 30)) < 50


def test_converts_an_embedded_profile_to_srgb() -> None:
    red = Image.new("RGB", (20, 20), (255, 0, 0))
    decoded = decode(encoded(red, "JPEG", quality=95, icc_profile=corpus.swapped_profile()))
    assert decoded.details["profile"] == "swap\ufffdped"
    r, g, b = pixel(decoded.image, 10, 10)
    assert r < 30 and g > 225 and b < 30


def test_an_srgb_profile_leaves_the_colours() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    before = picture()
    after = decode(encoded(before, icc_profile=profile)).image
    assert np.abs(np.asarray(after, int) - np.asarray(before, int)).max() <= 1


@pytest.mark.parametrize(
    "profile",
    [b"not a profile", ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()],
)
def test_a_broken_or_foreign_profile_is_noted_and_taken_as_srgb(profile: bytes) -> None:
    before = picture()
    decoded = decode(encoded(before, icc_profile=profile))
    assert "taken as sRGB" in decoded.details["notes"][0]
    assert decoded.image.tobytes() == before.tobytes()


def test_cmyk_becomes_rgb_and_says_that_it_guessed() -> None:
    decoded = decode(encoded(Image.new("CMYK", (20, 20), (0, 255, 255, 0)), "JPEG", quality=95))
    assert decoded.image.mode == "RGB" and pixel(decoded.image, 5, 5)[0] > 200
    assert "CMYK" in decoded.details["notes"][0]


def test_16_bits_are_scaled_and_not_clipped() -> None:
    values = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    decoded = decode(encoded(Image.fromarray(values)))
    assert [pixel(decoded.image, x, 0)[0] for x in range(3)] == [0, 100, 255]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    decoded = decode(encoded(picture().convert(mode)))
    assert decoded.image.mode == "RGB" and decoded.image.size == (60, 40)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_laid_on_white(mode: str) -> None:
    decoded = decode(encoded(Image.new("RGBA", (10, 10), (0, 0, 0, 0)).convert(mode)))
    assert pixel(decoded.image, 5, 5) == (255, 255, 255)
    half = decode(encoded(Image.new("RGBA", (10, 10), (0, 0, 0, 128))))
    assert 120 <= pixel(half.image, 5, 5)[0] <= 135


def test_a_palette_with_a_transparent_colour_is_laid_on_white() -> None:
    image = Image.new("P", (10, 10), 0)
    image.putpalette([200, 0, 0, 0, 200, 0])
    image.putpixel((9, 9), 1)
    decoded = decode(encoded(image, transparency=0))
    assert pixel(decoded.image, 0, 0) == (255, 255, 255)
    assert pixel(decoded.image, 9, 9) == (0, 200, 0)


def test_takes_the_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (10, 10), colour) for colour in ((250, 0, 0), (0, 250, 0))]
    data = encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])
    decoded = decode(data)
    assert pixel(decoded.image, 5, 5) == (250, 0, 0)
    assert "first frame" in decoded.details["notes"][0]


def test_a_multi_picture_jpeg_is_a_jpeg() -> None:
    data = encoded(picture(), "MPO", save_all=True, append_images=[picture(seed=2)])
    assert decode(data).format == "JPEG"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (corpus.HTML, "an HTML page"),
        (corpus.SVG, "an SVG drawing"),
        (encoded(picture(), "GIF"), "a GIF"),
        (encoded(picture(), "TIFF"), "a TIFF"),
        (encoded(picture(), "BMP"), "a BMP"),
        (b"%PDF-1.7", "a PDF"),
        (b"\0\0\0\x18ftypheic", "HEIC"),
        (b"just words", "not a JPEG, PNG or WebP"),
        (b"\xff\xd8\xff\xe0 no more", "damaged"),
    ],
)
def test_says_what_a_disguised_file_is(data: bytes, said: str) -> None:
    assert said in refusal(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_refuses_a_file_that_is_cut_short(form: str) -> None:
    data = encoded(picture(200, 200), form)
    assert "damaged" in refusal(data[: len(data) * 2 // 3])


def test_refuses_a_png_whose_pixels_were_altered() -> None:
    data = bytearray(corpus.png(width=200, height=200))
    data[len(data) // 2] ^= 0xFF
    assert "damaged" in refusal(bytes(data))


@pytest.mark.parametrize("size", [(50_000, 50_000), (12_001, 10_000), (1_000_000, 121)])
def test_refuses_too_many_pixels_without_decoding_them(size: tuple[int, int]) -> None:
    assert "megapixels" in refusal(corpus.bomb(*size))


def test_refuses_a_file_over_the_limit_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "max_image_mb", 1)
    assert "larger than 1 MiB" in refusal(b"\xff" * (1024 * 1024 + 1))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_broken_exif_is_noted_and_the_picture_taken() -> None:
    data = encoded(picture(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 40)
    assert decode(data).image.size == (60, 40)


@given(
    st.binary(max_size=400), st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"RIFF"])
)
def test_any_bytes_are_decoded_or_refused(data: bytes, start: bytes) -> None:
    with suppress(ImageRefused):
        decode(start + data)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_any_damage_is_decoded_or_refused(seed: int, places: int) -> None:
    data = bytearray(corpus.photo(6))
    random = np.random.default_rng(seed)
    for at in random.integers(0, len(data), places):
        data[at] = random.integers(0, 256)
    with suppress(ImageRefused):
        decode(bytes(data))


@given(
    st.sampled_from(["JPEG", "PNG", "WEBP"]), st.integers(1, 8), st.text(min_size=1, max_size=30)
)
def test_nothing_of_the_metadata_leaves(form: str, orientation: int, secret: str) -> None:
    exif = Image.Exif()
    exif[corpus.ORIENTATION] = orientation
    exif[corpus.MAKE] = "SECRETCAM"
    exif[0x010E] = secret
    exif.get_ifd(corpus.GPS)[2] = (48.0, 51.0, 30.0)
    options = {"exif": exif, "icc_profile": corpus.swapped_profile()}
    if form != "PNG":
        options["xmp"] = b"<x>SECRETXMP</x>"
    made = derivatives(decode(encoded(picture(), form, **options)).image)
    for data in (made.display, made.thumb):
        shown = Image.open(io.BytesIO(data))
        assert not dict(shown.getexif()) and "xmp" not in shown.info
        assert not {"icc_profile", "comment", "exif", "photoshop"} & set(shown.info)
        assert b"SECRET" not in data and b"Exif" not in data and b"ICC_PROFILE" not in data


def test_derivatives_are_small_and_keep_their_proportions() -> None:
    made = derivatives(Image.new("RGB", (3000, 1500), (90, 90, 90)))
    display, thumb = Image.open(io.BytesIO(made.display)), Image.open(io.BytesIO(made.thumb))
    assert (display.format, display.size) == ("JPEG", (2048, 1024))
    assert (thumb.format, thumb.size) == ("WEBP", (400, 200))


def test_small_images_are_not_blown_up_and_slivers_stay() -> None:
    assert Image.open(io.BytesIO(derivatives(picture()).thumb)).size == (60, 40)
    sliver = derivatives(Image.new("RGB", (9000, 2)))
    assert Image.open(io.BytesIO(sliver.thumb)).size == (400, 1)


@pytest.mark.parametrize("size", [(200, 200), (2048, 40), (1, 3000), (900, 700)])
def test_the_finest_grain_can_be_shown(size: tuple[int, int]) -> None:
    grain = np.random.default_rng(7).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    made = derivatives(decode(encoded(Image.fromarray(grain))).image)
    assert max(Image.open(io.BytesIO(made.display)).size) == min(max(size), 2048)


def with_chunk(kind: bytes, body: bytes) -> bytes:
    whole = encoded(picture())
    return whole[:33] + corpus.chunk(kind, body) + whole[33:]


@pytest.mark.parametrize(
    "data",
    [
        with_chunk(b"tEXt", b"Comment\0" + b"words " * 500_000),
        with_chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"a" * 90_000_000)),
        with_chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"b" * 3_000_000)),
        with_chunk(b"prVt", b"of a program of its own"),
    ],
)
def test_a_program_s_notes_in_a_png_are_passed_over(data: bytes) -> None:
    decoded = decode(data)
    assert decoded.image.tobytes() == picture().tobytes() and decoded.details == {}


def test_a_large_profile_is_applied_and_one_that_cannot_be_unfolded_is_told() -> None:
    large = bytearray(corpus.swapped_profile() + bytes(3_000_000))
    large[:4] = len(large).to_bytes(4, "big")
    seen = decode(with_chunk(b"iCCP", b"press\0\0" + zlib.compress(bytes(large)))).image
    assert pixel(seen, 50, 5) != pixel(picture(), 50, 5)
    for body in (b"zeros\0\0" + zlib.compress(bytes(80_000_000)), b"cut\0\0" + b"x\x9c no"):
        told = decode(with_chunk(b"iCCP", body))
        assert told.image.tobytes() == picture().tobytes()
        assert "profile" in told.details["notes"][0]

"""Other files of one painting, made from a picture of it: what a label must survive, and what collections hold besides."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter, ImageOps

Change = Callable[[Image.Image], Image.Image]

# Turns a picture by a quarter when it is shown (EXIF).
ORIENTATION, TO_TURN = 0x0112, 6


def crop(rgb: Image.Image) -> Image.Image:
    """Two percent of each side are gone."""
    across, down = round(0.02 * rgb.width), round(0.02 * rgb.height)
    return rgb.crop((across, down, rgb.width - across, rgb.height - down))


def save_coarsely(rgb: Image.Image) -> Image.Image:
    """Saved as JPEG of quality 60."""
    return _reopened(rgb, "JPEG", quality=60)


def balance(red: float, blue: float, rgb: Image.Image) -> Image.Image:
    """Red and blue multiplied, as encoded."""
    scaled = np.asarray(rgb) * np.array([red, 1.0, blue], np.float32)
    return Image.fromarray(np.clip(scaled + 0.5, 0, 255).astype(np.uint8))


def bordered(
    rgb: Image.Image, color: tuple[int, int, int], across: float, down: float
) -> Image.Image:
    """On an even ground that is wider by so much of the long side at each side, saved as JPEG of quality 85."""
    x, y = round(across * max(rgb.size)), round(down * max(rgb.size))
    whole = Image.new("RGB", (rgb.width + 2 * x, rgb.height + 2 * y), color)
    whole.paste(rgb, (x, y))
    return _reopened(whole, "JPEG", quality=85)


def framed(rgb: Image.Image) -> Image.Image:
    """In a carved frame of brown and gold, 7 % of the long side wide, that throws a shadow."""
    width = round(0.07 * max(rgb.size))
    whole = Image.new("RGB", (rgb.width + 2 * width, rgb.height + 2 * width))
    profile = np.abs(np.sin(np.linspace(0, 3 * np.pi, width)))
    for ring in range(width):
        light = 0.35 + 0.65 * profile[ring]
        box = (ring, ring, whole.width - ring, whole.height - ring)
        whole.paste((round(170 * light), round(125 * light), round(60 * light)), box)
    carved = np.random.default_rng(0).normal(0, 14, (whole.height, whole.width, 1))
    grainy = Image.fromarray(np.clip(np.asarray(whole) + carved, 0, 255).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(1)
    )
    grainy.paste(rgb, (width, width))
    return grainy


def shrunk(rgb: Image.Image, long: int) -> Image.Image:
    """Of so many pixels on the long side."""
    ratio = long / max(rgb.size)
    size = (max(1, round(rgb.width * ratio)), max(1, round(rgb.height * ratio)))
    return rgb.resize(size, Image.Resampling.LANCZOS)


def blown_up(rgb: Image.Image, long: int) -> Image.Image:
    """A thumbnail of so many pixels, enlarged to 1,000."""
    return shrunk(rgb, long).resize(shrunk(rgb, 1000).size, Image.Resampling.BICUBIC)


def turned(rgb: Image.Image) -> Image.Image:
    """Lying on its side in the file, and turned upright by EXIF."""
    exif = Image.Exif()
    exif[ORIENTATION] = TO_TURN
    return _reopened(rgb.transpose(Image.Transpose.ROTATE_90), "PNG", exif=exif)


def cut_out(rgb: Image.Image) -> Image.Image:
    """With a clear margin of 8 % of the long side around it, which hides black."""
    margin = round(0.08 * max(rgb.size))
    whole = Image.new("RGBA", (rgb.width + 2 * margin, rgb.height + 2 * margin), (0, 0, 0, 0))
    whole.paste(rgb.convert("RGBA"), (margin, margin))
    return _reopened(whole, "PNG")


def gray(rgb: Image.Image) -> Image.Image:
    """A gray photograph."""
    return rgb.convert("L")


def drawn(rgb: Image.Image) -> Image.Image:
    """Its outlines in pencil on white paper."""
    tone = rgb.convert("L")
    soft = ImageOps.invert(tone).filter(ImageFilter.GaussianBlur(max(rgb.size) / 150))
    dodged = np.asarray(tone) * 255.0 / np.maximum(255.0 - np.asarray(soft), 1.0)
    return Image.fromarray(np.clip(dodged, 0, 255).astype(np.uint8)).convert("RGB")


def strip(rgb: Image.Image) -> Image.Image:
    """A level strip of its middle, six times as wide as high."""
    high = max(1, round(rgb.width / 6))
    top = max(0, (rgb.height - high) // 2)
    return rgb.crop((0, top, rgb.width, min(rgb.height, top + high)))


def _reopened(image: Image.Image, form: str, **how: object) -> Image.Image:
    out = BytesIO()
    image.save(out, form, **how)
    return Image.open(out)


GRAY = "a gray photograph"
WHITE, BLACK, BED = (246, 245, 241), (0, 0, 0), (128, 127, 125)

# None of these changes what a painter sees: a label that does not survive all of them is not to be proposed.
DISTURBANCES: dict[str, Change] = {
    "cropped by 2 % of each side": crop,
    "saved as JPEG of quality 60": save_coarsely,
    "white balance 4 % warmer": lambda rgb: balance(1.04, 0.96, rgb),
    "white balance 4 % cooler": lambda rgb: balance(0.96, 1.04, rgb),
}
# The same painting in files as collections hold them.
FILES: dict[str, Change] = {
    "on a white mat": lambda rgb: bordered(rgb, WHITE, 0.12, 0.12),
    "black bars above and below": lambda rgb: bordered(rgb, BLACK, 0, 0.1),
    "gray bars at both sides": lambda rgb: bordered(rgb, BED, 0.15, 0),
    "with a clear margin": cut_out,
    "in a carved frame": framed,
    "lying, turned by EXIF": turned,
    "300 pixels": lambda rgb: shrunk(rgb, 300),
    "160 pixels": lambda rgb: shrunk(rgb, 160),
    "blown up from 400 pixels": lambda rgb: blown_up(rgb, 400),
    "blown up from 160 pixels": lambda rgb: blown_up(rgb, 160),
    GRAY: gray,
}
# What is another picture: only what is said of it counts.
OTHERS: dict[str, Change] = {"drawn in pencil": drawn, "a strip, 6 to 1": strip}

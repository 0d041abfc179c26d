"""A picture is the same picture for pages, trainer, agent and pairs, whatever kind of file carries it."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.images.decoding import decode
from worker.agents.measured import see
from worker.pairs.building import Images
from worker.training.examples import read_picture, read_size

PICTURE = Image.radial_gradient("L").resize((48, 32))
COLOURS = Image.merge("RGB", (PICTURE, PICTURE.rotate(90), PICTURE.rotate(180)))
TURNED = Image.Exif()
TURNED[0x0112] = 6


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def clear(mode: str) -> Image.Image:
    image = COLOURS.convert("RGBA")
    image.putalpha(PICTURE)
    return image.convert(mode)


FILES = {
    "RGB": encoded(COLOURS),
    "grey": encoded(PICTURE),
    "16 bits": encoded(Image.fromarray(np.asarray(PICTURE).astype(np.uint16) * 200)),
    "grey, half transparent": encoded(clear("LA")),
    "half transparent": encoded(clear("RGBA")),
    "half transparent WebP": encoded(clear("RGBA"), "WEBP"),
    "a palette": encoded(COLOURS.quantize(16)),
    "a palette with a transparent colour": encoded(COLOURS.quantize(16), transparency=3),
    "a transparent grey": encoded(PICTURE, transparency=9),
    "black and white": encoded(PICTURE.convert("1")),
    "CMYK": encoded(COLOURS.convert("CMYK"), "JPEG"),
    "turned JPEG": encoded(COLOURS, "JPEG", exif=TURNED),
    "turned PNG": encoded(COLOURS, exif=TURNED),
    "turned WebP": encoded(COLOURS, "WEBP", exif=TURNED),
    "broken EXIF": encoded(COLOURS, exif=b"broken"),
    "broken profile": encoded(COLOURS, icc_profile=b"broken"),
    "animated PNG": encoded(COLOURS, save_all=True, append_images=[COLOURS.rotate(180)]),
    "animated WebP": encoded(COLOURS, "WEBP", save_all=True, append_images=[COLOURS.rotate(180)]),
    "several pictures": encoded(COLOURS, "MPO", save_all=True, append_images=[COLOURS.rotate(180)]),
}


@pytest.mark.parametrize("kind", FILES)
def test_all_see_what_pages_show(kind: str, tmp_path: Path) -> None:
    data = FILES[kind]
    shown = decode(data).image
    pixels = np.asarray(shown)
    path = tmp_path / "picture"
    path.write_bytes(data)
    assert read_size(path) == shown.size
    learned = read_picture(path, hashlib.sha256(data).hexdigest(), shown.size).pixels_CHW
    assert (((learned + 1) * 127.5).round().permute(1, 2, 0).numpy() == pixels).all()
    with Image.open(path) as opened:
        assert (np.asarray(see(opened).rgb) == pixels).all()
    assert Images(tmp_path / "images").add(data).startswith(hashlib.sha256(data).hexdigest())

"""Small pictures that differ by a number, and datasets of them."""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import Image

from taxonomy.prompt import conditions
from tests.worker.training.datasets import seal

NAMES = tuple(f"attribute {number}" for number in range(12))


@dataclass(frozen=True)
class Painting:
    """A labelled picture to be; the same `picture` is the same file."""

    picture: int
    prompt: str
    negative: int
    positive: int = 0
    split: str = "train"


@cache
def png(number: int, form: str = "PNG") -> bytes:
    """A plain picture for each number below 256; steps that JPEG keeps apart."""
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (number % 16 * 16, number // 16 * 16, 77)).save(out, format=form)
    return out.getvalue()


def name_of(content: bytes, ending: str = "png") -> str:
    return f"{hashlib.sha256(content).hexdigest()}.{ending}"


def write_labelled(folder: Path, paintings: Sequence[Painting]) -> Path:
    """A dataset folder; image ids are the places in the list."""
    rows: dict[str, list[str]] = {}
    for index, each in enumerate(paintings):
        content = png(each.picture)
        (folder / each.split).mkdir(parents=True, exist_ok=True)
        (folder / each.split / name_of(content)).write_bytes(content)
        positive, negative = NAMES[: each.positive], NAMES[: each.negative]
        row = {
            "file_name": name_of(content),
            "image_id": index,
            "sha256": hashlib.sha256(content).hexdigest(),
            "prompt": each.prompt,
            "positive": positive,
            "negative": negative,
            "text": conditions(each.prompt, positive, negative).all,
        }
        rows.setdefault(each.split, []).append(json.dumps(row) + "\n")
    for split, lines in rows.items():
        (folder / split / "examples.jsonl").write_text("".join(lines))
    seal(folder)
    return folder

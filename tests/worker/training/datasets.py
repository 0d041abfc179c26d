"""Writes small dataset folders the way `app/datasets` does, straight from its contract."""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from taxonomy.formats.json import sha256, write_json
from taxonomy.prompt import SEPARATOR, TEMPLATE_ID, conditions
from taxonomy.tree import Attribute, Criteria, Dimension, Pair

POSITIVE = ("Visible brushwork", "Rich saturation", "Visual balance", "Clear edges")
NEGATIVE = ("Monotonous strokes", "Dull color", "Crowded composition", "Blurred edges")
KEYS = ("brushwork", "saturation", "balance", "edges")
SHAPES = ((70, 80), (96, 64), (64, 96), (120, 60))
"""Widths and heights, in turn."""


def small_criteria() -> Criteria:
    """Three root dimensions with the attributes above, one of them below a second level."""
    brushwork, saturation, balance, edges = (
        Pair(key, "opposed", Attribute(positive), Attribute(negative))
        for key, positive, negative in zip(KEYS, POSITIVE, NEGATIVE, strict=True)
    )
    contours = Dimension("contours", "Contours", pairs=(edges,))
    return Criteria(
        "Painting",
        dimensions=(
            Dimension("surface", "Surface", pairs=(brushwork,)),
            Dimension("color", "Color", pairs=(saturation,)),
            Dimension("composition", "Composition", dimensions=(contours,), pairs=(balance,)),
        ),
    )


def write_dataset(
    folder: Path,
    num_images: int = 8,
    *,
    validation: int = 0,
    test: int = 0,
    without_negative: int = 1,
    num_long: int = 0,
    shapes: Sequence[tuple[int, int]] = SHAPES,
) -> Path:
    """Write `num_images` training images and some of the other splits.

    The first `without_negative` of each split have no negative label, the last `num_long` training
    images attributes for several windows.
    """
    rng = np.random.default_rng(7)
    folder.mkdir(parents=True)
    (folder / "criteria.json").write_text(write_json(small_criteria()))
    start = 0
    for split, count in (("train", num_images), ("validation", validation), ("test", test)):
        rows = []
        for index in range(start, start + count):
            digest = _write_picture(folder / split, _picture(rng, shapes[index % len(shapes)]))
            flawed = index - start >= without_negative
            is_long = split == "train" and index >= num_images - num_long
            rows.append(_row(index, digest, flawed=flawed, repeats=40 if is_long else 1))
        if rows:
            write_lines(folder / split, rows)
        start += count
    seal(folder)
    return folder


def write_lines(split: Path, rows: list[dict[str, Any]]) -> None:
    """Write the lines of a split, to be sealed afterwards."""
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (split / "examples.jsonl").write_text(text)


def _row(index: int, digest: str, *, flawed: bool, repeats: int) -> dict[str, Any]:
    good, bad = [index % 4] * repeats, [index % 4, (index + 1) % 4] if flawed else []
    prompt = f"painting of a house number {index}"
    positive, negative = [POSITIVE[i] for i in good], [NEGATIVE[i] for i in bad]
    return {
        "file_name": f"{digest}.png",
        "image_id": f"image-{index}",
        "sha256": digest,
        "prompt": prompt,
        "positive": positive,
        "negative": negative,
        "positive_keys": [KEYS[i] for i in good],
        "negative_keys": [KEYS[i] for i in bad],
        "text": conditions(prompt, positive, negative).all,
    }


def _write_picture(split: Path, content: bytes) -> str:
    """Write a picture under its hash, and return that."""
    digest = hashlib.sha256(content).hexdigest()
    split.mkdir(exist_ok=True)
    (split / f"{digest}.png").write_bytes(content)
    return digest


def seal(folder: Path, **changes: Any) -> None:
    """Write the manifest of whatever the folder now holds."""
    files = [
        {
            "path": str(path.relative_to(folder)),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    ]
    manifest = {
        "format": "morelli-dataset/1",
        "name": "houses",
        "project": "tests",
        "criteria": {"name": "Painting", "number": 1, "sha256": sha256(small_criteria())},
        "template": TEMPLATE_ID,
        "separator": SEPARATOR,
        "split": {"salt": "s", "fractions": {"train": 0.8, "validation": 0.1, "test": 0.1}},
        "counts": {
            path.parent.name: len(path.read_text().splitlines())
            for path in folder.glob("*/examples.jsonl")
        },
        "files": files,
    } | changes
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    manifest["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _picture(rng: np.random.Generator, shape: tuple[int, int]) -> bytes:
    width, height = shape
    down, across = np.linspace(0, 1, height), np.linspace(0, 1, width)
    wave = np.sin(down[:, None] * rng.uniform(2, 9) + across[None, :] * rng.uniform(2, 9))
    color = rng.uniform(0.2, 1, 3)
    pixels = ((wave[..., None] + 1) / 2 * color * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()

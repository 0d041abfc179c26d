"""Writes small dataset folders the way `app/datasets` does, straight from its contract."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from taxonomy.prompt import SEPARATOR, TEMPLATE_ID, conditions

POSITIVE = ("Visible brushwork", "Rich saturation", "Visual balance", "Clear edges")
NEGATIVE = ("Monotonous strokes", "Dull color", "Crowded composition", "Blurred edges")


def write_dataset(
    folder: Path, num_images: int = 8, *, without_negative: int = 1, long_prompts: bool = False
) -> Path:
    """Write `num_images` training images; the first `without_negative` have no negative label."""
    rng = np.random.default_rng(7)
    split = folder / "train"
    split.mkdir(parents=True)
    rows = []
    for index in range(num_images):
        content = _picture(rng)
        digest = hashlib.sha256(content).hexdigest()
        name = f"{digest}.png"
        (split / name).write_bytes(content)
        repeats = 40 if long_prompts else 1
        positive = [POSITIVE[index % 4]] * repeats
        negative = (
            [] if index < without_negative else [NEGATIVE[index % 4], NEGATIVE[(index + 1) % 4]]
        )
        prompt = f"painting of a house number {index}"
        rows.append(
            {
                "file_name": name,
                "image_id": f"image-{index}",
                "sha256": digest,
                "prompt": prompt,
                "positive": positive,
                "negative": negative,
                "positive_keys": ["a"] * len(positive),
                "negative_keys": ["b"] * len(negative),
                "text": conditions(prompt, positive, negative).all,
            }
        )
    (split / "examples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "criteria.json").write_text("{}")
    seal(folder)
    return folder


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
        "criteria": {"name": "Painting", "number": 1, "sha256": "c" * 64},
        "template": TEMPLATE_ID,
        "separator": SEPARATOR,
        "split": {"salt": "s", "fractions": {"train": 1.0, "validation": 0.0, "test": 0.0}},
        "counts": {"train": len(files) - 2},
        "files": files,
    } | changes
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    manifest["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _picture(rng: np.random.Generator) -> bytes:
    side = np.linspace(0, 1, 80)
    wave = np.sin(side[:, None] * rng.uniform(2, 9) + side[None, :70] * rng.uniform(2, 9))
    color = rng.uniform(0.2, 1, 3)
    pixels = ((wave[..., None] + 1) / 2 * color * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()

"""Writes small pair dataset folders straight from their contract, without the builders."""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from method.manifests import hash_manifest


def write_pair_dataset(folder: Path, *, train: int = 3, validation: int = 0) -> Path:
    """Write pairs of a bright winner and a dark loser; each picture stands in one pair."""
    rng = np.random.default_rng(11)
    (folder / "images").mkdir(parents=True)
    for split, number in (("train", train), ("validation", validation)):
        rows = []
        for index in range(number):
            winner, loser = (_picture(folder / "images", rng, top) for top in (255, 90))
            rows.append(
                {
                    "pair_id": f"{split}-{index}",
                    "prompt": f"painting of a house number {index}",
                    "winner": winner,
                    "loser": loser,
                    "winner_id": f"{split}-{index}-bright",
                    "loser_id": f"{split}-{index}-dark",
                    "reason": {"negative": {"winner": 1, "loser": 4}},
                }
            )
        if rows:
            write_pairs(folder, split, rows)
    seal_pairs(folder)
    return folder


def write_pairs(folder: Path, split: str, rows: list[dict[str, Any]]) -> None:
    (folder / split).mkdir(exist_ok=True)
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (folder / split / "pairs.jsonl").write_text(text, encoding="utf-8")


def seal_pairs(folder: Path, **changes: Any) -> None:
    """Write the manifest of whatever the folder now holds."""
    files = [
        {
            "path": path.relative_to(folder).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    ]
    manifest: dict[str, Any] = {
        "format": "morelli-pairs/1",
        "name": "houses",
        "source": "labels",
        "made_from": {"dataset": {"name": "houses", "sha256": "d" * 64}},
        "counts": {},
        "files": files,
    } | changes
    manifest["sha256"] = hash_manifest(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _picture(folder: Path, rng: np.random.Generator, top: int) -> str:
    out = io.BytesIO()
    pixels = rng.integers(0, top, (72, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(out, format="PNG")
    name = f"{hashlib.sha256(out.getvalue()).hexdigest()}.png"
    (folder / name).write_bytes(out.getvalue())
    return name

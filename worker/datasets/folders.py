"""A dataset folder: written whole or not at all, and verified from its hashes.

The layout is loadable with `datasets.load_dataset("imagefolder", data_dir=...)`; see docs/datasets.md.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

FORMAT = "morelli-dataset/1"


def canonical(data: Any) -> str:
    """JSON that is the same for the same data, for hashing."""
    return json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def hash_manifest(manifest: dict[str, Any]) -> str:
    """SHA-256 of a manifest without its own hash."""
    bare = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(canonical(bare).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, data: bytes) -> None:
    """Write a file and force it to the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def force_folder(path: Path) -> None:
    """Force a folder's entries to the disk, so that a rename in it survives a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def list_files(folder: Path) -> list[dict[str, Any]]:
    """Path, SHA-256 and size of every file but the manifest, sorted by path."""
    paths = sorted(
        path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"
    )
    return [
        {
            "path": path.relative_to(folder).as_posix(),
            "sha256": hash_file(path),
            "bytes": path.stat().st_size,
        }
        for path in paths
    ]


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    """Write JSON Lines."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_file(path, text.encode())


# Typed, because a reader that guesses types from the lines cannot tell an empty list's: splits in
# which no image has a negative attribute would seem to have other columns than the rest.
SCHEMA = pa.schema(
    [
        ("file_name", pa.string()),
        ("image_id", pa.int64()),
        ("sha256", pa.string()),
        ("image_sha256", pa.string()),
        ("prompt", pa.string()),
        ("positive", pa.list_(pa.string())),
        ("negative", pa.list_(pa.string())),
        ("positive_keys", pa.list_(pa.string())),
        ("negative_keys", pa.list_(pa.string())),
        ("text", pa.string()),
        ("name", pa.string()),
        # A text here: what people write about their images differs from row to row.
        ("metadata", pa.string()),
        ("is_finished", pa.bool_()),
        ("undecided", pa.int64()),
        ("contradictions", pa.list_(pa.string())),
        ("picture_sha256", pa.string()),
    ]
)


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the same rows as a Parquet table, which `load_dataset("imagefolder", ...)` reads."""
    sink = pa.BufferOutputStream()
    typed = [
        row | {"metadata": json.dumps(row["metadata"], ensure_ascii=False, sort_keys=True)}
        for row in rows
    ]
    parquet.write_table(pa.Table.from_pylist(typed, schema=SCHEMA), sink)
    write_file(path, sink.getvalue().to_pybytes())


def verify(folder: Path) -> list[str]:
    """What is wrong with a dataset folder, in words; empty where every hash holds."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text())
    except (OSError, ValueError) as error:
        return [f"manifest.json cannot be read: {error}"]
    problems = []
    if manifest.get("sha256") != hash_manifest(manifest):
        problems.append("manifest.json: its own hash does not hold")
    listed = {each["path"]: each for each in manifest.get("files", [])}
    found = {each["path"]: each for each in list_files(folder)}
    problems += [f"{path}: missing" for path in sorted(listed.keys() - found.keys())]
    problems += [f"{path}: not in the manifest" for path in sorted(found.keys() - listed.keys())]
    problems += [
        f"{path}: changed"
        for path in sorted(listed.keys() & found.keys())
        if listed[path]["sha256"] != found[path]["sha256"]
    ]
    return problems

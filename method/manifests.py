"""Folders that never change: a manifest lists every file with its hash, and carries a hash of its own.

Datasets and pair datasets are such folders; what lies in them stands in `dataset_folder` and `pair_folder`.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from method.files import canonical, hash_file, write_file
from method.saved_texts import fault_in
from method.training.failures import InvalidDataset

MANIFEST = "manifest.json"
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)


# Writing ------------------------------------------------------------------------------------------


def seal(folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Write the manifest of a folder in which everything else lies, and return it."""
    manifest: dict[str, Any] = {**facts, "files": list_files(folder)}
    manifest["sha256"] = hash_manifest(manifest)
    text = json.dumps(manifest, ensure_ascii=False, indent=1)
    write_file(folder / MANIFEST, text.encode())
    return manifest


def hash_manifest(manifest: Mapping[str, Any]) -> str:
    """SHA-256 of a manifest without its own hash, as canonical JSON."""
    bare = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(canonical(bare).encode()).hexdigest()


def list_files(folder: Path) -> list[dict[str, Any]]:
    """Path, SHA-256 and size of every file but the manifest, sorted by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return [
        {
            "path": path.relative_to(folder).as_posix(),
            "sha256": hash_file(path),
            "bytes": path.stat().st_size,
        }
        for path in paths
    ]


# Reading ------------------------------------------------------------------------------------------


def read_manifest(folder: Path, form: str, wanted: Mapping[str, type]) -> dict[str, Any]:
    """The manifest of a folder of this format, with its files and hash checked.

    Raises InvalidDataset naming the file.
    """
    path = folder / MANIFEST
    manifest = from_json(read_bytes(path), str(path))
    if not isinstance(manifest, dict) or manifest.get("format") != form:
        raise InvalidDataset(f"{path}: its format is not {form}")
    check_types(manifest, dict(wanted) | {"files": list, "sha256": str}, str(path))
    for index, entry in enumerate(manifest["files"]):
        check_types(entry, {"path": str, "sha256": str}, f"{path}: files[{index}]")
    if manifest["sha256"] != hash_manifest(manifest):
        raise _changed(path)
    return manifest


def read_listed(path: Path, sha256: str) -> bytes:
    """The content of a file that the manifest lists with a hash. Raises InvalidDataset."""
    content = read_bytes(path)
    if hashlib.sha256(content).hexdigest() != sha256:
        raise _changed(path)
    return content


def _changed(path: Path) -> InvalidDataset:
    return InvalidDataset(f"{path}: was changed after the dataset was made: its hash differs")


def verify(folder: Path) -> list[str]:
    """What is wrong with a folder, in words; empty where every hash holds."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        return [f"{MANIFEST} cannot be read: {error}"]
    problems = []
    if manifest.get("sha256") != hash_manifest(manifest):
        problems.append(f"{MANIFEST}: its own hash does not hold")
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


def prompts_of(folder: Path, split: str, lines: str) -> Iterator[str]:
    """The content prompts of a split in the order of its file; a line that was damaged has none, nor has a
    split without lines. Raises OSError where the folder cannot be read.
    """
    return (prompt for prompt, _ in rows_of(folder, split, lines))


def rows_of(folder: Path, split: str, lines: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The lines of a split that have a content prompt, with that prompt; otherwise as `prompts_of`."""
    path = folder / split / lines
    if folder.is_dir() and not path.exists():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            row = _row_in(line)
            if prompt := _prompt_in(row):
                yield prompt, row


def _row_in(line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _prompt_in(row: Mapping[str, Any]) -> str:
    prompt = row.get("prompt")
    return prompt.strip() if isinstance(prompt, str) and fault_in(prompt) is None else ""


def check_types(row: object, wanted: Mapping[str, type], place: str) -> None:
    """Refuse what is no mapping, or lacks a key, or has another type under it (InvalidDataset)."""
    names = {str: "text", int: "a whole number", list: "a list", dict: "a mapping"}
    if not isinstance(row, dict):
        raise InvalidDataset(f"{place}: must be a mapping")
    for key, kind in wanted.items():
        if key not in row:
            raise InvalidDataset(f"{place}: {key} is missing")
        if not isinstance(row[key], kind):
            raise InvalidDataset(f"{place}: {key} must be {names[kind]}")


def from_json(content: bytes | str, place: str) -> Any:
    """The values of JSON. Raises InvalidDataset naming the place."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidDataset(f"{place}: is not JSON: {error}") from error


def read_bytes(path: Path) -> bytes:
    """A file's content; InvalidDataset when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidDataset(f"{path}: cannot be read: {error.strerror or error}") from error


def splits_of(split: str) -> Iterable[str]:
    """The splits that are meant: one, or `all` of them."""
    return SPLITS if split == "all" else (split,)

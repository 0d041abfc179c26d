"""Reads what pairs are built from, and says where something is wrong with it."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from worker.pairs.building import CannotBuild

NAMES = {str: "text", int: "a whole number"}


def read_content(path: Path) -> bytes:
    """A file's bytes. Raises CannotBuild."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotBuild(f"{path}: cannot be read: {error.strerror or error}") from error


def read_rows(path: Path, wanted: Mapping[str, type]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a JSON Lines file, each with its place for messages.

    Every row must have the `wanted` fields; texts must not be blank and come without the white
    space around them. Raises CannotBuild naming file and line.
    """
    for number, line in enumerate(read_content(path).split(b"\n"), 1):
        if line.strip():
            place = f"{path}, line {number}"
            yield place, _row(line, wanted, place)


def picture_path(folder: Path, name: str, place: str) -> Path:
    """The picture of a row, beside its file or in the folder of pictures; never outside of it."""
    if not re.fullmatch(r"[^/\\\0]+", name) or name in (".", ".."):
        raise CannotBuild(f"{place}: {name!r} is not a plain file name")
    path = folder / name
    if not path.is_file():
        raise CannotBuild(f"{place}: {path} is not there")
    return path


def _row(line: bytes, wanted: Mapping[str, type], place: str) -> dict[str, Any]:
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise CannotBuild(f"{place}: is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise CannotBuild(f"{place}: must be a mapping")
    for key, kind in wanted.items():
        if key not in row:
            raise CannotBuild(f"{place}: {key} is missing")
        if not isinstance(row[key], kind) or isinstance(row[key], bool):
            raise CannotBuild(f"{place}: {key} must be {NAMES[kind]}")
        if kind is str:
            row[key] = row[key].strip()
            if not row[key]:
                raise CannotBuild(f"{place}: {key} is empty")
    return row

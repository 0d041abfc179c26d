"""Reads what pairs are built from, and says where something is wrong with it."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from method.foreign_files import describe_no_text
from method.saved_texts import UnreadableText, fault_in, read_text
from worker.pairs.building import CannotBuild

NAMES = {str: "text", int: "a whole number"}


class WrongRow(CannotBuild):
    """One line cannot be used; `reason` says why, the message also where it stands."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(f"{place}: {reason}")
        self.reason = reason


def read_content(path: Path) -> bytes:
    """A file's bytes. Raises CannotBuild."""
    try:
        return path.read_bytes()
    except IsADirectoryError as error:
        raise CannotBuild(f"{path}: is a folder; name a file in it") from error
    except OSError as error:
        raise CannotBuild(f"{path}: cannot be read: {error.strerror or error}") from error


def read_rows(
    path: Path, wanted: Mapping[str, type], problems: list[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a JSON Lines file, each with its place for messages.

    Every row must have the `wanted` fields; texts must not be blank and come without the white
    space around them. What is wrong with a line is added to `problems`, naming file and line, and the
    others go on. Raises CannotBuild where the file cannot be read.
    """
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            place = f"{path}, line {number}"
            try:
                row = _row(line, wanted, place)
            except WrongRow as error:
                problems.append(str(error))
            else:
                yield place, row


def _lines(path: Path) -> list[str]:
    content = read_content(path)
    try:
        return read_text(content).lines()
    except UnreadableText as error:
        if describe_no_text(content) is not None:
            raise CannotBuild(f"{path}: {error.reason}") from error
        lines = [each.decode("utf-8", "replace") for each in content.split(b"\n")]
        # One damaged line is that line's; a file that is all in another encoding is refused.
        if sum("\ufffd" in each for each in lines) > max(1, len(lines) // 10):
            raise CannotBuild(f"{path}: {error.reason}") from error
        return lines


def picture_path(folder: Path, name: str, place: str) -> Path:
    """The picture of a row, beside its file or in the folder of pictures; never outside of it."""
    if not re.fullmatch(r"[^/\\\0]+", name) or name in (".", ".."):
        raise WrongRow(place, f"{name!r} is not a plain file name")
    path = folder / name
    if not path.is_file():
        raise WrongRow(place, f"{path} is not there")
    return path


def _row(line: str, wanted: Mapping[str, type], place: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise WrongRow(place, f"is not JSON: {error}") from error
    if not isinstance(row, dict):
        raise WrongRow(place, "must be a mapping")
    for key, kind in wanted.items():
        if key not in row:
            raise WrongRow(place, f"{key} is missing")
        if not isinstance(row[key], kind) or isinstance(row[key], bool):
            raise WrongRow(place, f"{key} must be {NAMES[kind]}")
        if kind is str:
            row[key] = row[key].strip()
            if not row[key]:
                raise WrongRow(place, f"{key} is empty")
            fault = fault_in(row[key])
            if fault:
                raise WrongRow(place, f"{key} {fault}")
    return row

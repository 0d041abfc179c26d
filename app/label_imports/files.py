"""Reads labels from files in the formats that they are handed on in, and from plainer ones of the same kind.

However large a file is, a few of its labels are held at a time.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

from app.errors import Invalid
from app.label_imports.label_studio import Absent, read_tasks
from app.label_imports.rows import FileLabel, NamedImage, Problem, plain_cell, read_row

Format: TypeAlias = Literal["jsonl", "csv", "parquet", "label-studio"]
Read: TypeAlias = Iterator[FileLabel | Problem]

ENDINGS: dict[str, Format] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".json": "label-studio",
}
LONGEST_LINE = 32 * 1024**2
# What a table has to have a column of, one of each group.
WANTED = (("sha256", "source_id", "file"), ("key", "name", "attribute"), ("state",))


def format_of(name: str) -> Format:
    """What a file's name says of its format. Raises Invalid."""
    for ending, found in ENDINGS.items():
        if name.lower().endswith(ending):
            return found
    raise Invalid(
        f"The name {name[:100]} says no format.",
        field="files",
        hint=f"Labels are read from files that end in {', '.join(ENDINGS)} (the last from Label Studio).",
    )


def read_labels(path: Path, format: Format, *, absent: Absent = "leave") -> Read:
    """Every label of a file, or what is wrong with a line, in the order of the file.

    `absent` says what an annotation of Label Studio means for what was predicted and is not in it. Raises
    Invalid where the file is of another kind.
    """
    readers: dict[Format, Callable[[Path], Read]] = {
        "jsonl": _read_jsonl,
        "csv": _read_csv,
        "parquet": _read_parquet,
        "label-studio": lambda path: read_tasks(path, absent=absent),
    }
    return readers[format](path)


def _image_of(said: Mapping[str, Any]) -> NamedImage:
    texts = [said.get(each) or "" for each in ("sha256", "source_id", "file")]
    sha256, source_id, name = (str(each)[:1000] for each in texts)
    return NamedImage(sha256.lower(), source_id, name)


# JSONL ------------------------------------------------------------------------------------------


def _read_jsonl(path: Path) -> Read:
    with path.open("rb") as file:
        for line, data in enumerate(iter(lambda: file.readline(LONGEST_LINE), b""), start=1):
            if not data.strip():
                continue
            try:
                said = json.loads(data)
            except (ValueError, RecursionError) as error:
                where = error.msg if isinstance(error, json.JSONDecodeError) else "not UTF-8"
                yield Problem(line, f"is no JSON: {where}.")
                continue
            yield from _labels_of_line(line, said)


def _labels_of_line(line: int, said: Any) -> Read:
    """An image with its labels, as they are handed on, or one label by itself."""
    if not isinstance(said, dict):
        yield Problem(line, "is no object.")
        return
    image = _image_of(said)
    labels = said.get("labels", [said])
    if not isinstance(labels, list):
        yield Problem(line, "has labels that are no list.")
        return
    for each in labels:
        if isinstance(each, dict):
            yield read_row(line, image, each)
        else:
            yield Problem(line, "has something in labels that is no object.")


# CSV --------------------------------------------------------------------------------------------


def _read_csv(path: Path) -> Read:
    with path.open(encoding="utf-8-sig", newline="") as file:
        try:
            yield from _rows_of(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        except (UnicodeDecodeError, csv.Error) as error:
            what = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
            raise Invalid(
                f"This table cannot be read: {what}.",
                field="files",
                hint="Save it as CSV in UTF-8.",
            ) from error


def _rows_of(file: Any, *, delimiter: str) -> Read:
    rows = csv.reader(file, delimiter=delimiter, strict=True)
    names = [each.strip().lower() for each in next(rows, [])]
    refuse_columns(names)
    began = rows.line_num + 1
    for row in rows:
        if row and len(row) != len(names):
            yield Problem(began, f"has {len(row)} cells; the first line has {len(names)}.")
        elif row:
            said = dict(zip(names, map(plain_cell, row), strict=True))
            yield read_row(began, _image_of(said), said)
        began = rows.line_num + 1


def refuse_columns(names: list[str]) -> None:
    """Raise Invalid where a table lacks what a label cannot be without."""
    for group in WANTED:
        if not set(group) & set(names):
            raise Invalid(
                f"The table has no column {' or '.join(group)}.",
                field="files",
                hint=f"It has {', '.join(names)[:300] or 'none'}. An export of labels as CSV shows the form.",
            )


# Parquet ----------------------------------------------------------------------------------------


def _read_parquet(path: Path) -> Read:
    # Half a second to load, which only who reads this format waits for.
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            names = [each.lower() for each in file.schema_arrow.names]
            refuse_columns(names)
            number = 0
            for batch in file.iter_batches(batch_size=10_000):
                columns = [column.to_pylist() for column in batch.columns]
                for row in zip(*columns, strict=True):
                    number += 1
                    said = dict(zip(names, row, strict=True))
                    yield read_row(number, _image_of(said), said)
    except (ArrowException, OSError) as error:
        raise Invalid(f"This is no Parquet file: {error}.", field="files") from error

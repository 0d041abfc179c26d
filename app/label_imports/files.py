"""Reads labels from files in the formats that they are handed on in, and from plainer ones of the same kind.

However large a file is, a few of its labels are held at a time.
"""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TextIO, TypeAlias

from app.csv_cells import plain
from app.errors import Invalid
from app.label_imports.label_studio import Absent, read_tasks
from app.label_imports.rows import (
    FIELDS,
    OF_IMAGE,
    FileLabel,
    NamedImage,
    Problem,
    read_row,
)
from app.label_imports.texts import open_text

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
LARGEST_COLUMN = 512 * 1024**2
LONGEST_TEXT = 16 * 1024
KNOWN = frozenset((*OF_IMAGE, *FIELDS))
DELIMITERS = (",", ";", "\t", "|")
# What a table has to have a column of, one of each group.
WANTED = (OF_IMAGE, ("key", "name", "attribute"), ("state",))


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
    with open_text(path) as file:
        for line, data in enumerate(iter(lambda: file.readline(LONGEST_LINE), ""), start=1):
            if not data.strip():
                continue
            try:
                said = json.loads(data)
            except (ValueError, RecursionError) as error:
                yield Problem(line, f"is no JSON: {_why(error)}.")
                continue
            yield from _labels_of_line(line, said)


def _why(error: ValueError | RecursionError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return (
        "it is nested too deep"
        if isinstance(error, RecursionError)
        else "it holds a number of too many digits"
    )


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
    with open_text(path) as file:
        yield from _rows_of(file)


def _rows_of(file: TextIO) -> Read:
    first = file.readline()
    rows = csv.reader(chain([first], file), delimiter=_delimiter(first), strict=True)
    try:
        names = _names(next(rows, []))
        refuse_columns(names)
        began = rows.line_num + 1
        for row in rows:
            # Spreadsheets write cells beyond the table, and rows below it, that hold nothing.
            while len(row) > len(names) and not row[-1].strip():
                row.pop()
            if len(row) != len(names) and any(row):
                cells = "1 cell" if len(row) == 1 else f"{len(row)} cells"
                yield Problem(began, f"has {cells}; the first line has {len(names)}.")
            elif any(row):
                said = dict(zip(names, map(plain, row), strict=True))
                yield read_row(began, _image_of(said), said)
            began = rows.line_num + 1
    except csv.Error as error:
        raise Invalid(
            f"Line {rows.line_num}: this table cannot be read further: {error}.",
            field="files",
            hint="Look for a quotation mark that is not closed, or save it as CSV in UTF-8 again.",
        ) from error


def _delimiter(first: str) -> str:
    """What parts the cells: Excel writes semicolons where commas part the digits of numbers."""

    def known(delimiter: str) -> int:
        names = _names(next(csv.reader([first], delimiter=delimiter), []))
        return sum(bool(set(group) & set(names)) for group in WANTED)

    return max(DELIMITERS, key=known)


def _names(cells: list[str]) -> list[str]:
    return [each.strip().lower() for each in cells]


def refuse_columns(names: list[str]) -> None:
    """Raise Invalid where a table lacks what a label cannot be without, or has a column twice."""
    twice = [each for each in names if each and names.count(each) > 1]
    if twice:
        raise Invalid(
            f"The table has the column {twice[0][:100]} twice.",
            field="files",
            hint="Which of the two counts is not known: leave one out.",
        )
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
        for rows in _parts(path):
            for said in rows:
                number += 1
                yield read_row(number, _image_of(said), said)
    # Besides the library's own: text that is not UTF-8, a moment that no calendar has.
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise Invalid(
            f"This is no Parquet file that can be read: {error}.", field="files"
        ) from error


def _parts(path: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """The rows of a Parquet file, some at a time, with the columns that are known alone.

    A small file can hold gigabytes: what is said to be large is refused before it is unpacked. One text that
    a million rows repeat lies in the file once, and is kept so until its length is known.
    """
    from pyarrow import types
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        schema = file.schema_arrow
        wanted = [each.name for each in schema if each.name.lower() in KNOWN]
        for group in map(file.metadata.row_group, range(file.num_row_groups)):
            for said in map(group.column, range(group.num_columns)):
                if said.path_in_schema.split(".")[0] in wanted:
                    _refuse_large(said.total_uncompressed_size, LARGEST_COLUMN, said.path_in_schema)
    texts = [
        each.name
        for each in schema
        if types.is_string(each.type) or types.is_large_string(each.type)
    ]
    with ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches(batch_size=10_000, columns=wanted):
            columns = {
                name.lower(): _unpacked(column, name).to_pylist()
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            }
            yield (
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            )


def _unpacked(column: Any, name: str) -> Any:
    """A column with each of its values in place. Raises Invalid where a text is too long for that."""
    from pyarrow import compute, types

    if not types.is_dictionary(column.type):
        return column
    longest = compute.max(compute.binary_length(column.dictionary)).as_py() or 0
    _refuse_large(longest, LONGEST_TEXT, name)
    return column.dictionary_decode()


def _refuse_large(size: int, most: int, name: str) -> None:
    if size > most:
        raise Invalid(
            f"The column {name[:100]} holds {size} bytes in one piece; {most} are read.",
            field="files",
            hint="Write the file with smaller row groups, and with what labels say alone.",
        )

"""Criteria as one table of comma-separated values, as spreadsheets read and write it: one row per pair."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import cast

from taxonomy.formats.data import refuse_size
from taxonomy.formats.existing import Existing
from taxonomy.formats.from_rows import from_rows
from taxonomy.formats.reading import MAX_NODES
from taxonomy.formats.rows import SHEETS, Row, RowKind, is_column, tidy_column
from taxonomy.formats.to_rows import columns, to_rows
from taxonomy.tree import Criteria, InvalidCriteria

MAX_ROWS = MAX_NODES + 2_000
MAX_COLUMNS = 500
_SEPARATORS = ",;\t"
# Excel writes and obeys a first line that names the separator.
_TOLD = re.compile(r'"?sep=([,;\t])"?\r?\n', re.IGNORECASE)
# A spreadsheet runs a cell that starts like this as a formula (OWASP, CSV injection).
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
# The settings first, then what makes the tree, as people look for it.
_ORDER: tuple[RowKind, ...] = ("criteria", "content", "style", "dimension", "pair", "successors")


def write_csv(criteria: Criteria) -> str:
    """The tree as CSV, always the same text for the same tree; `read_csv` gives it back."""
    rows = to_rows(criteria)
    names = list(dict.fromkeys(name for kind in SHEETS for name in columns(criteria, kind)))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["row", *names])
    for kind in _ORDER:
        for row in rows[kind]:
            writer.writerow([kind, *(_guarded(row.text(name)) for name in names)])
    return out.getvalue()


def _guarded(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _bare(text: str) -> str:
    return text[1:] if text.startswith("'") and text[1:].startswith(_FORMULA) else text


def read_csv(text: str, existing: Existing | None = None) -> Criteria:
    """Read criteria from CSV, with commas, semicolons or tabs; raises InvalidCriteria with every fault.

    A table without a `row` column holds one pair in each row.
    """
    refuse_size(text)
    text = text.removeprefix("\ufeff")
    told = _TOLD.match(text)
    lines = _lines(text, told[1] if told else _separator(text))
    if told:
        next(lines)
    _, header = next(lines, (1, []))
    names = _columns(header)
    problems: list[str] = []
    rows = []
    for number, (line, cells) in enumerate(lines):
        if number >= MAX_ROWS:
            raise InvalidCriteria(
                [f"line {line}: there are more than {MAX_ROWS} rows; split them."]
            )
        if any(cells):
            row = _row(line, names, cells, problems)
            rows += [row] if row is not None else []
    if problems:
        raise InvalidCriteria(problems[:MAX_COLUMNS])
    if not rows:
        raise InvalidCriteria(["The table holds no row below its header."])
    return from_rows(rows, existing or Existing())


def _lines(text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line it starts at."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise InvalidCriteria([f"line {line}: this is not CSV: {error}."]) from error
        yield line, cells
        line = reader.line_num + 1


def _separator(text: str) -> str:
    """The one that makes most known columns of the header."""
    header = text[:100_000].lstrip("\r\n").partition("\n")[0]

    def num_known(separator: str) -> int:
        names = [tidy_column(each.strip('"')) for each in header.split(separator)[:MAX_COLUMNS]]
        return sum(any(is_column(kind, name) for kind in SHEETS) for name in names)

    return max(_SEPARATORS, key=num_known)


def _columns(header: Sequence[str]) -> list[str]:
    if len(header) > MAX_COLUMNS:
        raise InvalidCriteria([f"line 1: there are more than {MAX_COLUMNS} columns."])
    names = [tidy_column(cell) for cell in header]
    while names and not names[-1]:
        names.pop()
    problems = []
    for number, name in enumerate(names):
        if name != "row" and not any(is_column(kind, name) for kind in SHEETS):
            problems.append(unknown_column(f"line 1, column {number + 1}", name))
        elif name in names[:number]:
            problems.append(f"line 1: the column “{name}” stands here twice; keep one.")
    if not problems and not {"key", "positive name", "negative name", "name"} & set(names):
        example = "“positive name” and “negative name”"
        problems.append(f"line 1: there is no column of criteria; a table of pairs has {example}.")
    if problems:
        raise InvalidCriteria(problems)
    return names


def unknown_column(place: str, name: str) -> str:
    """The sentence about a column that is not known, for whichever table it stands in."""
    said = f"“{name[:40]}” is no column of criteria" if name else "has no header"
    return f"{place}: {said}; correct it or take the column out."


def _row(line: int, names: list[str], cells: list[str], problems: list[str]) -> Row | None:
    if any(cells[len(names) :]):
        problems.append(f"line {line}: has more cells than the header has columns.")
        return None
    given = dict(zip(names, cells, strict=False))
    kind = given.pop("row", "pair").strip().casefold()
    if kind not in SHEETS:
        known = ", ".join(SHEETS)
        problems.append(f"line {line}, column “row”: “{kind[:40]}” is none of {known}.")
        return None
    kind = cast(RowKind, kind)
    for name, cell in given.items():
        if cell.startswith("="):
            what = "is a formula; put its value there, or an apostrophe before it"
            problems.append(f"line {line}, column “{name}”: {what}.")
        elif cell and not is_column(kind, name):
            problems.append(f"line {line}, column “{name}”: a row of kind {kind} has no such cell.")
    known_here = {name for name in given if is_column(kind, name)}
    cells_here = {name: _bare(given[name]) for name in known_here}
    return Row(kind, cells_here, line, frozenset(known_here))

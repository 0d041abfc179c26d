"""Criteria as rows of cells, the one shape behind CSV and Excel: what a column is called, what a cell says."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from taxonomy.tree import POLARITIES, Polarity

RowKind: TypeAlias = Literal["pair", "dimension", "criteria", "content", "style", "successors"]

# What each kind of row is called as a sheet.
SHEETS: Mapping[RowKind, str] = {
    "pair": "Pairs",
    "dimension": "Dimensions",
    "criteria": "Criteria",
    "content": "Content",
    "style": "Styles",
    "successors": "Successors",
}
MAX_STEPS = 32

_WORDS = ("alternatives", "exact match", "close match", "scope note", "source")
# The columns of each kind beside the path, in the order in which people read them.
_BEFORE: Mapping[RowKind, tuple[str, ...]] = {
    "pair": ("relation",),
    "dimension": ("name", "definition"),
    "criteria": ("name", "language", "max levels"),
    "content": ("key", "name", "definition"),
    "style": ("key", "name", "alternatives"),
    "successors": ("key", "successors"),
}
_SIDE = ("prompt", "styles", "excludes", *_WORDS)
_TRANSLATED = re.compile(r"(?:(positive|negative) )?(name|definition) \(([A-Za-z0-9-]+)\)")
_STEP = re.compile(r"dimension ([1-9][0-9]?)")


@dataclass(slots=True)
class Row:
    """One row: its cells by column, and where it stands. Cells without text may be left out.

    `columns` are those that the table has; `sheet` and the letter of each column say where in a workbook.
    """

    kind: RowKind
    cells: dict[str, str]
    line: int = 0
    columns: frozenset[str] = frozenset()
    sheet: str = ""
    letters: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Where the row stands, for people."""
        return f"{self.sheet}, row {self.line}" if self.sheet else f"line {self.line}"

    def at(self, column: str) -> str:
        """Where a cell stands, for people."""
        if self.sheet:
            letter = self.letters.get(column)
            return f"{self.sheet}!{letter}{self.line}" if letter else self.place
        return f"line {self.line}, column “{column}”"

    def text(self, column: str) -> str:
        """What a cell says."""
        return self.cells.get(column, "")


def columns_of(kind: RowKind, num_steps: int, languages: Iterable[str]) -> list[str]:
    """The columns of a kind of row, in their order."""
    languages = list(languages)
    path = [step(number) for number in range(1, num_steps + 1)]
    if kind == "pair":
        return ["key", *path, *_BEFORE[kind], *_pair_columns(languages), *_AFTER]
    if kind == "dimension":
        words = translated("", languages)
        return ["key", *path, *_BEFORE[kind], *words, "exclusive", *_WORDS, "needs", "retired"]
    return list(_BEFORE[kind])


_AFTER = ("scope note", "source", "needs", "retired")


def _pair_columns(languages: list[str]) -> list[str]:
    texts = [f"{side} {text}" for text in ("name", "definition") for side in POLARITIES]
    words = [each for side in POLARITIES for each in translated(f"{side} ", languages)]
    rest = [f"{side} {each}" for each in _SIDE for side in POLARITIES]
    return [*texts, *words, *rest]


def translated(before: str, languages: Iterable[str]) -> list[str]:
    """The columns of names and definitions in other languages."""
    return [f"{before}{text} ({tag})" for tag in languages for text in ("name", "definition")]


def step(number: int) -> str:
    """The column of a step of the path, counted from 1."""
    return f"dimension {number}"


def step_of(column: str) -> int | None:
    """Which step of the path a column is."""
    found = _STEP.fullmatch(column)
    return int(found[1]) if found else None


def translation_of(column: str) -> tuple[str, str, str] | None:
    """Side ("" for a dimension), text and language of a column with words in another language."""
    found = _TRANSLATED.fullmatch(column)
    return (found[1] or "", found[2], found[3]) if found else None


def tidy_column(cell: str) -> str:
    """A column as it is known here, however its header was typed: only languages keep their capitals."""
    words, bracket, language = " ".join(cell.replace("_", " ").split()).partition("(")
    return f"{words.casefold()}{bracket}{language}"


def is_column(kind: RowKind, column: str) -> bool:
    """Whether a kind of row has such a column."""
    if kind in ("pair", "dimension"):
        if (number := step_of(column)) is not None:
            return number <= MAX_STEPS
        if (words := translation_of(column)) is not None:
            return (words[0] != "") == (kind == "pair")
    return column in columns_of(kind, 0, ())


def side_column(polarity: Polarity, column: str) -> str:
    return f"{polarity} {column}"


# Several values in one cell ---------------------------------------------------------------------


def join(values: Iterable[str]) -> str:
    """Several values in one cell, with semicolons between them; `split` gives them back."""
    return "; ".join(_escaped(value) for value in values)


def _escaped(value: str) -> str:
    text = value.replace("\\", "\\\\").replace(";", "\\;")
    if text[:1].isspace():
        text = "\\" + text
    if text[1:] and text[-1].isspace() and text[-2] != "\\":
        text = f"{text[:-1]}\\{text[-1]}"
    return text


def split(cell: str) -> list[str]:
    """The values of a cell. A backslash keeps a semicolon or a space that belongs to a value."""
    values: list[list[str]] = [[]]
    is_escaped = False
    for character in cell:
        if is_escaped:
            values[-1].append("\\" + character)
        elif character == ";":
            values.append([])
        elif character != "\\":
            values[-1].append(character)
        is_escaped = character == "\\" and not is_escaped
    if is_escaped:
        values[-1].append("\\\\")
    return [text for text in map(_unescaped, values) if text]


def _unescaped(characters: list[str]) -> str:
    while characters and characters[0].isspace():
        characters.pop(0)
    while characters and characters[-1].isspace():
        characters.pop()
    return "".join(each[-1] for each in characters)


YES = {"yes", "true", "x", "1", "y"}
NO = {"", "no", "false", "0", "n"}

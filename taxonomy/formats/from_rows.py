"""Reading criteria from rows of cells: whom each row means, where it belongs, what it says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from taxonomy.formats.details import head_details
from taxonomy.formats.drafts import Draft, assemble
from taxonomy.formats.existing import Existing
from taxonomy.formats.reading import Fields, Path
from taxonomy.formats.rows import (
    MAX_STEPS,
    NO,
    YES,
    Row,
    RowKind,
    split,
    step,
    step_of,
    translation_of,
)
from taxonomy.names import squeeze
from taxonomy.tree import POLARITIES, Criteria

_KEYED = re.compile(r"(?:.* )?\[([a-z0-9-]+)\]", re.DOTALL)
_LISTS = ("alternatives", "exact match", "close match", "needs", "excludes")
_FLAGS = ("exclusive", "retired")
# Absent and empty are the same of these; of names and definitions an empty one is written out.
_WRITTEN = ("name", "definition")


def from_rows(rows: Sequence[Row], existing: Existing) -> Criteria:
    """The tree that the rows describe, put beside what is there already.

    A row with a key is that node. One without is the node of that name at that place, or else a new one.
    A column that a table does not have leaves what it would say as it is. Raises InvalidCriteria with
    every fault and its cell.
    """
    places = _Places(existing, {each.text("key") for each in rows} - {""})
    of_kind = _by_kind(rows)
    places.add_dimensions(of_kind.get("dimension", []))
    pairs = places.drafts_of_pairs(of_kind.get("pair", []))
    head = _Head(existing, of_kind)
    head.read()
    drafts = [*places.drafts.values(), *pairs]
    return assemble(head.fields, drafts, [*head.faults, *places.faults], head.places)


def _by_kind(rows: Sequence[Row]) -> dict[RowKind, list[Row]]:
    found: dict[RowKind, list[Row]] = {}
    for row in rows:
        found.setdefault(row.kind, []).append(row)
    return found


# Dimensions and pairs ---------------------------------------------------------------------------


class _Places:
    """Which dimension a path means, and every dimension that the rows speak of."""

    def __init__(self, existing: Existing, keys: set[str]) -> None:
        existing.claim(keys)
        self.existing = existing
        self.keys = keys
        self.drafts: dict[str, Draft] = {}
        self.faults: list[str] = []
        self._by_place: dict[tuple[str | None, str], tuple[str, str]] = {}
        self._known: set[str] = set()

    def add_dimensions(self, rows: list[Row]) -> None:
        """Find the place of each row's dimension; those above stand in shorter paths, wherever in the file."""
        self._known = {each.text("key") for each in rows} - {""}
        found: dict[int, Draft] = {}
        for number, row in sorted(enumerate(rows), key=lambda each: len(_steps(each[1]))):
            parent = self._parent(row)
            name = row.text("name")
            if "name" not in row.columns:
                name = str(self.existing.dimension_fields(row.text("key")).get("name", ""))
            twin = self._by_place.get((parent, squeeze(name)))
            if not row.text("key") and twin is not None:
                self.faults.append(f"{row.place}: “{name}” stands at {twin[1]} too; keep one.")
                continue
            key = row.text("key") or self._key_of(self.existing.dimension_at(parent, name), name)
            self._by_place.setdefault((parent, squeeze(name)), (key, row.place))
            fields, places = _fields_of(row, self.existing.dimension_fields(key))
            found[number] = Draft(key, "dimension", parent, fields, row.place, places)
        twice = [found[number] for number in sorted(found)]
        implied = list(self.drafts.values())
        self.drafts = {}
        for draft in [*twice, *implied]:
            if draft.key in self.drafts:
                other = self.drafts[draft.key].place
                self.faults.append(f"{draft.place}: the key {draft.key} stands at {other} too.")
            self.drafts.setdefault(draft.key, draft)

    def drafts_of_pairs(self, rows: list[Row]) -> list[Draft]:
        """Every pair with its place."""
        drafts = []
        for row in rows:
            parent = self._parent(row)
            if parent is None:
                message = "a pair stands below a dimension; name it here."
                self.faults.append(f"{row.at(step(1))}: {message}")
                continue
            positive, negative = (row.text(f"{side} name") for side in POLARITIES)
            key = row.text("key") or self._key_of(
                self.existing.pair_at(parent, positive, negative), positive or negative
            )
            fields, places = _fields_of(row, self.existing.pair_fields(key))
            drafts.append(Draft(key, "pair", parent, fields, row.place, places))
        return drafts

    def _key_of(self, found: str | None, name: str) -> str:
        """The key of a node that was found by its name, where no other row claims it, or a new one."""
        if found is None or found in self.keys:
            found = self.existing.new_key(name)
        self.keys.add(found)
        return found

    def _parent(self, row: Row) -> str | None:
        if not any(step_of(column) for column in row.columns):
            parent = self.existing.parent_of(row.text("key"))
            return parent if parent is None else self._existing(parent, row)
        steps = _steps(row)
        if "" in steps:
            place = row.at(step(steps.index("") + 1))
            self.faults.append(f"{place}: is empty, yet a dimension below it is named.")
            return self._at([each for each in steps if each], row)
        return self._at(steps, row)

    def _at(self, steps: list[str], row: Row) -> str | None:
        parent: str | None = None
        for number, name in enumerate(steps, start=1):
            parent = self._step(parent, name, row, row.at(step(number)))
        return parent

    def _step(self, parent: str | None, name: str, row: Row, place: str) -> str:
        keyed = _KEYED.fullmatch(name)
        if keyed is not None and keyed[1] in self._known:
            return keyed[1]
        if keyed is not None and self.existing.is_dimension(keyed[1]):
            return self._existing(keyed[1], row)
        here = self._by_place.get((parent, squeeze(name)))
        if here is not None:
            return here[0]
        there = self.existing.dimension_at(parent, name)
        if there is not None:
            return there if there in self._known else self._existing(there, row)
        key = self.existing.new_key(name)
        self._by_place[parent, squeeze(name)] = (key, place)
        self.drafts[key] = Draft(key, "dimension", parent, {"name": name}, place)
        return key

    def _existing(self, key: str, row: Row) -> str:
        """A dimension that is there and has no row of its own stays as it is, with those above it."""
        steps: list[str] = []
        here: str | None = key
        while here is not None and here not in self._known and here not in self.drafts:
            steps.append(here)
            here = self.existing.parent_of(here)
        for each in reversed(steps):
            fields = self.existing.dimension_fields(each)
            above = self.existing.parent_of(each)
            self.drafts[each] = Draft(each, "dimension", above, fields, row.place)
        return key


def _steps(row: Row) -> list[str]:
    """The names on the way from the top, up to the last that is given."""
    steps = [row.text(step(number)).strip() for number in range(1, MAX_STEPS + 1)]
    while steps and not steps[-1]:
        steps.pop()
    return steps


# What a row says --------------------------------------------------------------------------------


def _fields_of(row: Row, fields: Fields) -> tuple[Fields, dict[Path, str]]:
    """What a node says now: what it said, with what each cell says in its place."""
    places: dict[Path, str] = {}
    for column in sorted(row.columns):
        if column == "key" or step_of(column):
            continue
        side, _, rest = column.partition(" ")
        path: Path = (side,) if side in POLARITIES else ()
        inner = fields
        if path:
            inner = _inner(fields, side)
            column_here = rest
        else:
            column_here = column
        name = _set(inner, column_here, row.text(column))
        places[(*path, *name)] = row.at(column)
    if not row.text("key"):
        places[("key",)] = row.place
    elif "key" in row.columns:
        places[("key",)] = row.at("key")
    _drop_empty_translations(fields)
    return fields, places


def _inner(fields: Fields, name: str) -> Fields:
    inner = fields.setdefault(name, {})
    assert isinstance(inner, dict)
    return inner


def _set(fields: Fields, column: str, text: str) -> Path:
    """Write a cell into the fields; where it went."""
    words = translation_of(column)
    if words is not None:
        _, part, language = words
        each = _inner(_inner(fields, "translations"), language)
        each.pop(part, None)
        if text:
            each[part] = text
        return "translations", language, part
    name = column.replace(" ", "_")
    value: object = text
    if column in _LISTS:
        value = split(text)
    elif column in _FLAGS:
        value = _flag(text)
    elif column == "styles":
        value = {style.strip(): reads.strip() for style, reads in map(_reading, split(text))}
    elif column == "relation":
        value = text.strip().casefold()
    if value in ("", [], {}) and name not in _WRITTEN:
        fields.pop(name, None)
    else:
        fields[name] = value
    return (name,)


def _reading(text: str) -> tuple[str, str]:
    style, _, reads = text.rpartition(":")
    return (style, reads) if style else (reads, "")


def _flag(text: str) -> object:
    """Yes or no; what is neither stays text, which the reading of the fields refuses."""
    word = text.strip().casefold()
    if word in YES:
        return True
    return False if word in NO else text


def _drop_empty_translations(fields: Fields) -> None:
    for inner in (fields, *(fields.get(side) for side in POLARITIES)):
        if not isinstance(inner, dict) or not isinstance(inner.get("translations"), dict):
            continue
        left = {name: each for name, each in inner["translations"].items() if each}
        if left:
            inner["translations"] = left
        else:
            del inner["translations"]


# The head ---------------------------------------------------------------------------------------


@dataclass
class _Head:
    """What the rows say of the criteria themselves. Without a row of them all stays as it is."""

    existing: Existing
    rows: Mapping[RowKind, Sequence[Row]]
    fields: Fields = field(default_factory=dict)
    places: dict[Path, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def read(self) -> None:
        """Fill `fields`, and note faults."""
        criteria = self.existing.criteria
        self.fields = {
            "name": criteria.name,
            "language": criteria.language,
            "max_levels": criteria.max_levels,
            **head_details(criteria),
        }
        if criteria.successors:
            self.fields["successors"] = {key: list(to) for key, to in criteria.successors.items()}
        settings = self.rows.get("criteria", ())
        for row in settings[1:]:
            self.faults.append(
                f"{row.place}: the criteria themselves have a row already; keep one."
            )
        if settings:
            self._read_settings(settings[0])
        self._read_named("content", "content", ("name", "definition"), is_whole=bool(settings))
        self._read_named("style", "styles", ("name", "alternatives"), is_whole=bool(settings))
        self._read_successors()

    def _read_settings(self, row: Row) -> None:
        for column in ("name", "language", "max levels"):
            if column in row.columns:
                text = row.text(column)
                is_number = column == "max levels" and text.isdecimal() and len(text) < 5
                name = column.replace(" ", "_")
                self.fields[name] = int(text) if is_number else text
                self.places[(name,)] = row.at(column)

    def _read_named(
        self,
        kind: Literal["content", "style"],
        name: str,
        columns: tuple[str, ...],
        *,
        is_whole: bool,
    ) -> None:
        rows = self.rows.get(kind, ())
        if not rows and not is_whole:
            return
        found: Fields = {}
        for row in rows:
            inner: Fields = {}
            for column in columns:
                _set(inner, column, row.text(column))
                self.places[name, row.text("key"), column] = row.at(column)
            self._add(found, row, {key: value for key, value in inner.items() if value})
            self.places[name, row.text("key")] = row.at("key")
        self.fields[name] = found

    def _read_successors(self) -> None:
        found: Fields = {}
        for row in self.rows.get("successors", ()):
            self._add(found, row, split(row.text("successors")))
            self.places["successors", row.text("key")[:40]] = row.at("successors")
        if found:
            self.fields["successors"] = _inner(self.fields, "successors") | found

    def _add(self, found: Fields, row: Row, value: object) -> None:
        key = row.text("key")
        if key in found:
            self.faults.append(f"{row.at('key')}: “{key[:40]}” stands here twice; keep one.")
        found[key] = value

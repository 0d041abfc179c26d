"""Criteria as plain data (dicts, lists, text), the one shape behind YAML and JSON."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from taxonomy.names import MAX_KEY_LENGTH, control_character, is_key
from taxonomy.tree import (
    DEFAULT_LANGUAGE,
    DEFAULT_MAX_LEVELS,
    RELATIONS,
    Attribute,
    Criteria,
    Dimension,
    InvalidCriteria,
    Pair,
    Relation,
)

FORMAT = "morelli-criteria/1"
MAX_BYTES = 5_000_000
MAX_NODES = 10_000
MAX_TEXT_LENGTH = 4_000
MAX_PROBLEMS = 500
MAX_LEVELS = 20
# Deeper nesting is not read at all; a tree too deep for its own limit is for the checks to say.
MAX_DEPTH = 32

Path: TypeAlias = tuple[str | int, ...]
Fields: TypeAlias = dict[str, object]
Item = TypeVar("Item")

_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")

_CRITERIA = ("format", "name", "language", "max_levels", "successors", "dimensions")
_DIMENSION = ("key", "name", "definition", "exclusive", "dimensions", "pairs", "retired")
_PAIR = ("key", "relation", "positive", "negative", "retired")
_ATTRIBUTE = ("name", "definition")


def to_data(criteria: Criteria) -> Fields:
    """The tree as dicts, lists, text, numbers and booleans, every field written out.

    Published versions are known by the hash of this data: a field added later must be left out
    where it has its default, or older hashes no longer hold.
    """
    successors = {key: list(each) for key, each in sorted(criteria.successors.items())}
    return {
        "format": FORMAT,
        "name": criteria.name,
        "language": criteria.language,
        "max_levels": criteria.max_levels,
        **({"successors": successors} if successors else {}),
        "dimensions": [_dimension_data(dimension) for dimension in criteria.dimensions],
    }


def _dimension_data(dimension: Dimension) -> Fields:
    return {
        "key": dimension.key,
        "name": dimension.name,
        "definition": dimension.definition,
        "exclusive": dimension.exclusive,
        "dimensions": [_dimension_data(child) for child in dimension.dimensions],
        "pairs": [_pair_data(pair) for pair in dimension.pairs],
        "retired": dimension.retired,
    }


def _pair_data(pair: Pair) -> Fields:
    return {
        "key": pair.key,
        "relation": pair.relation,
        "positive": {"name": pair.positive.name, "definition": pair.positive.definition},
        "negative": {"name": pair.negative.name, "definition": pair.negative.definition},
        "retired": pair.retired,
    }


def from_data(data: object, lines: Mapping[Path, int] | None = None) -> Criteria:
    """The tree that the data describes; raises InvalidCriteria naming every fault and its place.

    Judges the structure only: fields, types, keys. Attribute names and definitions may be missing;
    `taxonomy.checks` reports those. `lines` maps a path to its line number, where known.
    """
    reading = _Reading(lines or {})
    criteria = _criteria(reading, data)
    if reading.is_full():
        reading.problems.append(f"Only the first {MAX_PROBLEMS} problems are listed.")
    if reading.problems:
        raise InvalidCriteria(reading.problems)
    return criteria


def refuse_size(text: str) -> None:
    """Raise InvalidCriteria when the text is larger than a criteria file may be."""
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InvalidCriteria([f"The file is larger than {MAX_BYTES // 1_000_000} MB; split it."])


def place(path: Path, line: int | None = None) -> str:
    """A path for people, counted from 0: `dimensions[3].pairs[2].positive.name (line 41)`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return (text or "top of the file") + (f" (line {line})" if line else "")


@dataclass
class _Reading:
    """The faults found so far, and what is needed to say where they are."""

    lines: Mapping[Path, int]
    problems: list[str] = field(default_factory=list)
    num_nodes: int = 0

    def is_full(self) -> bool:
        return len(self.problems) >= MAX_PROBLEMS

    def fault(self, path: Path, message: str) -> None:
        if self.is_full():
            return
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        self.problems.append(f"{place(path, self.lines.get(known))}: {message}")

    def count_node(self, path: Path) -> bool:
        self.num_nodes += 1
        if self.num_nodes == MAX_NODES + 1:
            self.fault(path, f"there are more than {MAX_NODES} dimensions and pairs; split them.")
        return self.num_nodes <= MAX_NODES


def _criteria(reading: _Reading, data: object) -> Criteria:
    fields = _fields(reading, (), data, _CRITERIA)
    if fields is not None and fields.get("format") != FORMAT:
        reading.fault(("format",), f"must be {FORMAT}, the only format known here.")
    if fields is not None and fields.get("dimensions") is None:
        reading.fault(("dimensions",), "is missing.")
    language = _text(reading, (), fields, "language") or DEFAULT_LANGUAGE
    if not _LANGUAGE.fullmatch(language):
        reading.fault(("language",), "must be a language code such as en or pt-BR.")
    return Criteria(
        name=_text(reading, (), fields, "name", required=True),
        language=language,
        max_levels=_max_levels(reading, fields),
        dimensions=_list(reading, (), fields, "dimensions", _dimension),
        successors=_successors(reading, fields),
    )


def _successors(reading: _Reading, fields: Fields | None) -> dict[str, tuple[str, ...]]:
    value = (fields or {}).get("successors")
    if value is None:
        return {}
    if not isinstance(value, dict):
        reading.fault(("successors",), f"must be a mapping of keys, not {_kind(value)}.")
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for key, each in value.items():
        here = ("successors", str(key)[:40])
        if not reading.count_node(here):
            break
        keys = each if isinstance(each, list) else []
        if not is_key(str(key)) or not keys or not all(map(_is_key, keys)):
            reading.fault(here, "must be a key with a list of the keys that took its place.")
        elif len(set(keys)) < len(keys) or key in keys:
            reading.fault(here, "names a key twice, or itself.")
        found[str(key)] = tuple(map(str, keys))
    return found


def _is_key(value: object) -> bool:
    return isinstance(value, str) and is_key(value)


def _dimension(reading: _Reading, path: Path, data: object) -> Dimension:
    # A path holds two steps for each level, so it tells the depth.
    if len(path) > 2 * MAX_DEPTH:
        reading.fault(path, f"dimensions are nested more than {MAX_DEPTH} deep; flatten them.")
        return Dimension("", "")
    fields = _fields(reading, path, data, _DIMENSION)
    return Dimension(
        key=_key(reading, path, fields),
        name=_text(reading, path, fields, "name", required=True),
        definition=_text(reading, path, fields, "definition"),
        exclusive=_flag(reading, path, fields, "exclusive"),
        dimensions=_list(reading, path, fields, "dimensions", _dimension),
        pairs=_list(reading, path, fields, "pairs", _pair),
        retired=_flag(reading, path, fields, "retired"),
    )


def _pair(reading: _Reading, path: Path, data: object) -> Pair:
    fields = _fields(reading, path, data, _PAIR)
    return Pair(
        key=_key(reading, path, fields),
        relation=_relation(reading, path, fields),
        positive=_attribute(reading, path, fields, "positive"),
        negative=_attribute(reading, path, fields, "negative"),
        retired=_flag(reading, path, fields, "retired"),
    )


def _attribute(reading: _Reading, path: Path, fields: Fields | None, name: str) -> Attribute:
    value = (fields or {}).get(name)
    if value is None:
        return Attribute("")
    path = (*path, name)
    inner = _fields(reading, path, value, _ATTRIBUTE)
    return Attribute(_text(reading, path, inner, "name"), _text(reading, path, inner, "definition"))


def _fields(reading: _Reading, path: Path, data: object, allowed: tuple[str, ...]) -> Fields | None:
    """The fields of a mapping, unknown ones reported; None when it is no mapping at all."""
    if not isinstance(data, dict):
        known = ", ".join(allowed)
        reading.fault(path, f"must be a mapping with the fields {known}, not {_kind(data)}.")
        return None
    for name in data:
        if name not in allowed and not reading.is_full():
            close = difflib.get_close_matches(str(name)[:40], allowed, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(allowed)}."
            reading.fault((*path, str(name)[:40]), f"unknown field; {hint}")
    return data


def _text(
    reading: _Reading, path: Path, fields: Fields | None, name: str, *, required: bool = False
) -> str:
    value = (fields or {}).get(name)
    here = (*path, name)
    if value is None:
        if required and fields is not None:
            reading.fault(here, "is missing.")
        return ""
    if not isinstance(value, str):
        reading.fault(here, f"must be text, not {_kind(value)}; text can be put in quotes.")
        return ""
    if wrong := control_character(value):
        reading.fault(here, f"holds a control character ({wrong}); remove it.")
    if len(value) > MAX_TEXT_LENGTH:
        reading.fault(here, f"has {len(value)} characters; {MAX_TEXT_LENGTH} are allowed.")
    return value


def _key(reading: _Reading, path: Path, fields: Fields | None) -> str:
    before = len(reading.problems)
    key = _text(reading, path, fields, "key", required=True)
    if fields is not None and len(reading.problems) == before and not is_key(key):
        reading.fault(
            (*path, "key"),
            "must be a-z, 0-9 and single hyphens between them, "
            f"at most {MAX_KEY_LENGTH} characters.",
        )
    return key


def _relation(reading: _Reading, path: Path, fields: Fields | None) -> Relation:
    value = (fields or {}).get("relation")
    for relation in RELATIONS:
        if value == relation:
            return relation
    if fields is not None:
        reading.fault((*path, "relation"), f"must be {' or '.join(RELATIONS)}.")
    return "opposed"


def _flag(reading: _Reading, path: Path, fields: Fields | None, name: str) -> bool:
    value = (fields or {}).get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    reading.fault((*path, name), f"must be true or false, not {_kind(value)}.")
    return False


def _max_levels(reading: _Reading, fields: Fields | None) -> int:
    value = (fields or {}).get("max_levels")
    if value is None:
        return DEFAULT_MAX_LEVELS
    if isinstance(value, int) and not isinstance(value, bool) and 2 <= value <= MAX_LEVELS:
        return value
    reading.fault(("max_levels",), f"must be a whole number from 2 to {MAX_LEVELS}.")
    return DEFAULT_MAX_LEVELS


def _list(
    reading: _Reading,
    path: Path,
    fields: Fields | None,
    name: str,
    read: Callable[[_Reading, Path, object], Item],
) -> tuple[Item, ...]:
    value = (fields or {}).get(name)
    here = (*path, name)
    if value is None:
        return ()
    if not isinstance(value, list):
        reading.fault(here, f"must be a list, not {_kind(value)}.")
        return ()
    items = []
    for number, item in enumerate(value):
        if not reading.count_node((*here, number)):
            break
        items.append(read(reading, (*here, number), item))
    return tuple(items)


def _kind(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text"}
    others = {list: "a list", dict: "a mapping", type(None): "nothing"}
    return (names | others).get(type(value), "something else")

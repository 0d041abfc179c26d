"""Two versions of the criteria side by side: node by node what it said and says, and which words changed."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from taxonomy.changes import Change, ChangeKind, difference
from taxonomy.formats.data import to_data
from taxonomy.formats.reading import Fields
from taxonomy.tree import Criteria, Dimension, Node

# Where a node stands is said by its path, and what is below it by itself.
_NOT_SAID = {"key", "dimensions", "pairs", "format"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a text; `changed` where the other text has others there."""

    text: str
    changed: bool


@dataclass(frozen=True, slots=True)
class ComparedField:
    """One field that differs, as it was and as it is; no pieces where it was or is empty."""

    name: str
    before: tuple[Piece, ...]
    after: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class ComparedNode:
    """A node that differs. Titles and paths (names from the root down) are None where it is not there."""

    key: str
    kinds: tuple[ChangeKind, ...]
    sentences: tuple[str, ...]
    title_before: str | None
    title_after: str | None
    path_before: tuple[str, ...] | None
    path_after: tuple[str, ...] | None
    fields: tuple[ComparedField, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The nodes that differ, in the tree order of the newer version, those that are gone at the end."""

    nodes: tuple[ComparedNode, ...]
    numbers: Mapping[ChangeKind, int]


def compare(old: Criteria, new: Criteria) -> Comparison:
    """Compare node by node; the node with the key "" is the criteria themselves."""
    by_key: dict[str, list[Change]] = {}
    numbers: dict[ChangeKind, int] = {}
    for each in difference(old, new):
        by_key.setdefault(each.key, []).append(each)
        numbers[each.kind] = numbers.get(each.kind, 0) + 1
    was, now = _said_by_all(old), _said_by_all(new)
    nodes = (
        _node(key, changes, old, new, was.get(key, {}), now.get(key, {}))
        for key, changes in by_key.items()
    )
    return Comparison(tuple(nodes), numbers)


def _node(
    key: str,
    changes: list[Change],
    old: Criteria,
    new: Criteria,
    was: dict[str, str],
    now: dict[str, str],
) -> ComparedNode:
    title_before, path_before = _where(old, key)
    title_after, path_after = _where(new, key)
    names = [*was, *(each for each in now if each not in was)]
    fields = (
        _compared(name, was.get(name, ""), now.get(name, ""))
        for name in names
        if was.get(name, "") != now.get(name, "")
    )
    return ComparedNode(
        key,
        tuple(dict.fromkeys(each.kind for each in changes)),
        tuple(each.sentence for each in changes),
        title_before,
        title_after,
        path_before,
        path_after,
        tuple(fields),
    )


def _where(criteria: Criteria, key: str) -> tuple[str | None, tuple[str, ...] | None]:
    if not key:
        return criteria.name, ()
    entry = criteria.find(key)
    if entry is None:
        return None, None
    above = tuple(_title(criteria.entry(each).node) for each in entry.path[:-1])
    return _title(entry.node), above


def _title(node: Node) -> str:
    if isinstance(node, Dimension):
        return node.name or node.key
    return f"{node.positive.name} / {node.negative.name}"


# What a node says, field by field --------------------------------------------------------------


def _said_by_all(criteria: Criteria) -> dict[str, dict[str, str]]:
    data = to_data(criteria)
    return {"": dict(_flat(data))} | {str(each["key"]): dict(_flat(each)) for each in _below(data)}


def _below(fields: Fields) -> Iterator[Fields]:
    for name in ("dimensions", "pairs"):
        for each in fields.get(name, ()):  # type: ignore[attr-defined]
            yield each
            yield from _below(each)


def _flat(fields: Mapping[str, object], above: tuple[str, ...] = ()) -> Iterator[tuple[str, str]]:
    for name, value in fields.items():
        if not above and name in _NOT_SAID:
            continue
        words = (*above, name.replace("_", " "))
        if isinstance(value, Mapping):
            yield from _flat(value, words)
        elif text := _text(value):
            yield " ".join(words), text


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else ""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


# Words -----------------------------------------------------------------------------------------


def _compared(name: str, before: str, after: str) -> ComparedField:
    was, now = _words(before), _words(after)
    matches = SequenceMatcher(None, was, now, autojunk=False).get_opcodes()
    return ComparedField(
        name,
        _pieces((was[i:j], tag != "equal") for tag, i, j, _, _ in matches),
        _pieces((now[i:j], tag != "equal") for tag, _, _, i, j in matches),
    )


def _words(text: str) -> list[str]:
    # Each word with the space after it; of scripts without spaces each letter.
    return re.findall(r"[\u3400-\u9fff\uf900-\ufaff]|[^\s\u3400-\u9fff\uf900-\ufaff]+\s*|\s+", text)


def _pieces(runs: Iterable[tuple[list[str], bool]]) -> tuple[Piece, ...]:
    return tuple(Piece("".join(words), changed) for words, changed in runs if words)

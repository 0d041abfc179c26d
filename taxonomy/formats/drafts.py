"""Nodes as flat formats give them, each naming what is above it, put together into a tree."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from taxonomy.formats.data import FORMAT, from_data
from taxonomy.formats.reading import MAX_NODES, Fields, Path
from taxonomy.tree import Criteria, InvalidCriteria, find_cycle


@dataclass
class Draft:
    """A node as a file gives it: `fields` are those of the plain data, without the children.

    `place` says where in the file it stands; `places` where single fields of it do.
    """

    key: str
    kind: Literal["dimension", "pair"]
    parent: str | None
    fields: Fields
    place: str
    places: Mapping[Path, str] = field(default_factory=dict)


def assemble(
    head: Fields,
    drafts: Sequence[Draft],
    problems: Iterable[str] = (),
    places: Mapping[Path, str] = {},
) -> Criteria:
    """The tree of these nodes, children in the order in which they stand.

    Raises InvalidCriteria with `problems` and every fault of the nodes and of their places. A key of
    `places` is a path in the head.
    """
    found = list(problems)
    if len(drafts) > MAX_NODES:
        found.append(f"There are more than {MAX_NODES} dimensions and pairs; split the file.")
        raise InvalidCriteria(found)
    found += _twice(drafts)
    found += _circles(drafts)
    if found:
        raise InvalidCriteria(found)
    top: list[Fields] = []
    lines: dict[Path, str] = dict(places)
    _nest(drafts, top, lines)
    return from_data({"format": FORMAT, **head, "dimensions": top}, lines)


def _twice(drafts: Sequence[Draft]) -> list[str]:
    first: dict[str, Draft] = {}
    faults = []
    for draft in drafts:
        other = first.setdefault(draft.key, draft)
        if other is not draft:
            faults.append(
                f"{draft.place}: the key {draft.key} stands at {other.place} too; keep one."
            )
    return faults


def _circles(drafts: Sequence[Draft]) -> list[str]:
    parents = {draft.key: draft.parent for draft in drafts}
    circle = find_cycle(parents)
    if circle is None:
        return []
    place = next(draft.place for draft in drafts if draft.key == circle[0])
    way = " is below ".join([*circle, circle[0]])
    return [f"{place}: {way}, which is a circle; put one of them elsewhere."]


def _nest(drafts: Sequence[Draft], top: list[Fields], lines: dict[Path, str]) -> None:
    """Hang every node below its parent and note where each path of the data stands in the file."""
    below: dict[str | None, list[Draft]] = {}
    for draft in drafts:
        below.setdefault(draft.parent, []).append(draft)
    waiting: list[tuple[str | None, Path, Fields]] = [(None, (), {"dimensions": top})]
    while waiting:
        parent, above, fields = waiting.pop()
        for draft in below.get(parent, ()):
            part = "dimensions" if draft.kind == "dimension" else "pairs"
            children = fields.setdefault(part, [])
            assert isinstance(children, list)
            path = (*above, part, len(children))
            inner: Fields = {"key": draft.key, **draft.fields}
            children.append(inner)
            lines[path] = draft.place
            lines |= {(*path, *each): place for each, place in draft.places.items()}
            if draft.kind == "dimension":
                waiting.append((draft.key, path, inner))

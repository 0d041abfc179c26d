"""The recorded changes of the working criteria, in words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, aliased

from app.accounts.models import Person
from app.criteria.models import Node, NodeChange
from app.criteria.recording import TEXTS
from app.database import Json
from app.projects.models import Project
from taxonomy.detail_changes import FIELDS, detail_changes
from taxonomy.tree import POLARITIES

# Kinds of change that concern several nodes, and those that concern the place of one.
WIDE = frozenset({"merged", "split", "redefined"})
PLACED = frozenset({"moved", "reordered"})
# What the criteria say of themselves, by column, in words.
SETTINGS = {
    "name": "the name",
    "language": "the language",
    "max_levels": "the limit of levels",
    "details": "the content and styles",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One text before and after; `field` is in words."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Recorded:
    """One change with all that a page or a program shows of it. `undone_by` is a revision."""

    revision: int
    kind: str
    key: str | None
    is_there: bool
    sentence: str
    differences: tuple[Difference, ...]
    before: Json | None
    after: Json | None
    by: str | None
    at: datetime
    undoes: int | None
    undone_by: int | None

    @property
    def can_undo(self) -> bool:
        """Whether undoing may be tried; the verb decides."""
        return self.kind != "loaded" and self.undone_by is None


def find_changes(
    db: Session,
    project: Project,
    *,
    node: Node | None = None,
    before: int | None = None,
    after: int | None = None,
    limit: int = 50,
) -> Sequence[Recorded]:
    """Changes of the whole tree or of one node, newest first, below revision `before` and above `after`."""
    later = aliased(NodeChange)
    query = (
        select(NodeChange, Node, Person.name, later.revision)
        .outerjoin(Node, Node.id == NodeChange.node_id)
        .outerjoin(Person, Person.id == NodeChange.person_id)
        .outerjoin(
            later,
            (later.project_id == NodeChange.project_id)
            & (later.undoes == NodeChange.revision)
            & (later.part == 0),
        )
        .where(NodeChange.project_id == project.id)
        .order_by(NodeChange.revision.desc())
        .limit(limit)
    )
    if node is not None:
        query = query.where(NodeChange.node_id == node.id)
    else:
        query = query.where(NodeChange.part == 0)
    if before is not None:
        query = query.where(NodeChange.revision < before)
    if after is not None:
        query = query.where(NodeChange.revision > after)
    rows = db.execute(query).all()
    others = _others(db, project, [row[0] for row in rows])
    return [_recorded(*row, others=others) for row in rows]


@dataclass(frozen=True, slots=True)
class _Others:
    """What the words of a change need beside its own row: the other nodes it names."""

    parts: dict[int, list[tuple[NodeChange, Node]]]
    by_id: dict[int, Node]
    num_parts: dict[int, int]


def _others(db: Session, project: Project, changes: Sequence[NodeChange]) -> _Others:
    wide = {each.revision for each in changes if each.kind in WIDE}
    parents = {
        value for each in changes for value in _values(each, "parent_id") if each.kind in PLACED
    }
    parts: dict[int, list[tuple[NodeChange, Node]]] = {}
    if wide:
        found = db.execute(
            select(NodeChange, Node)
            .join(Node, Node.id == NodeChange.node_id)
            .where(NodeChange.project_id == project.id, NodeChange.revision.in_(wide))
            .order_by(NodeChange.part)
        )
        for change, node in found:
            parts.setdefault(change.revision, []).append((change, node))
    nodes = db.scalars(select(Node).where(Node.id.in_(parents))).all() if parents else ()
    imports = {each.revision for each in changes if each.kind == "imported"}
    return _Others(parts, {node.id: node for node in nodes}, _num_parts(db, project, imports))


def _num_parts(db: Session, project: Project, revisions: set[int]) -> dict[int, int]:
    if not revisions:
        return {}
    rows = db.execute(
        select(NodeChange.revision, func.count().label("num"))
        .where(
            NodeChange.project_id == project.id,
            NodeChange.revision.in_(revisions),
            # That others came before it is no change of the node, unless it is the only one.
            (NodeChange.part == 0) | text("after - 'position' <> '{}'::jsonb"),
        )
        .group_by(NodeChange.revision)
    )
    return {row.revision: row.num for row in rows}


def _values(change: NodeChange, field: str) -> list[int]:
    sides = (change.before or {}, change.after or {})
    return [each[field] for each in sides if each.get(field) is not None]


def texts_at(db: Session, node: Node, revision: int) -> dict[str, str | None]:
    """The names and definitions of a node as they were at an earlier revision of it."""
    return _fields_at(db, node, revision, TEXTS)


def details_at(db: Session, node: Node, revision: int) -> Json:
    """What else a node said at an earlier revision of it."""
    return dict(_fields_at(db, node, revision, ("details",))["details"])


def _fields_at(db: Session, node: Node, revision: int, fields: Sequence[str]) -> dict[str, Any]:
    texts: dict[str, Any] = {field: getattr(node, field) for field in fields}
    num_later = node.revision - revision
    if num_later <= 0:
        return texts
    later = db.scalars(
        select(NodeChange)
        .where(NodeChange.node_id == node.id, NodeChange.after.is_distinct_from({}))
        .order_by(NodeChange.id.desc())
        .limit(num_later)
    )
    for change in later:
        texts |= {field: text for field, text in (change.before or {}).items() if field in texts}
    return texts


def _recorded(
    change: NodeChange,
    node: Node | None,
    by: str | None,
    undone_by: int | None,
    *,
    others: _Others,
) -> Recorded:
    return Recorded(
        revision=change.revision,
        kind=change.kind,
        key=node.key if node else None,
        is_there=node is not None and not node.removed,
        sentence=_sentence(change, node, others),
        differences=_differences(change),
        before=change.before,
        after=change.after,
        by=by,
        at=change.at,
        undoes=change.undoes,
        undone_by=undone_by,
    )


def _sentence(change: NodeChange, node: Node | None, others: _Others) -> str:
    if change.kind == "listed":
        return "Changed the content and styles that nodes may name."
    if node is None and change.kind != "loaded":
        done = f"Undid change {change.undoes}: set" if change.undoes else "Changed"
        changed = [words for column, words in SETTINGS.items() if column in (change.after or {})]
        return f"{done} {' and '.join(changed)} of the criteria."
    if node is None:
        size = change.after or {}
        return (
            f"Loaded “{size.get('name', '')}”: {size.get('dimensions', 0)} dimensions and "
            f"{size.get('pairs', 0)} pairs."
        )
    what = f"the {node.kind} “{_name_then(change, node)}”"
    if change.kind == "undo":
        done = "removed" if change.after is None else "put back"
        if change.before is not None and change.after is not None:
            done = "put back" if change.before.get("removed") else "set back"
        return f"Undid change {change.undoes}: {what} was {done}."
    if change.kind == "fixed":
        return f"Put a fault of {what} right."
    if change.kind == "imported":
        num = others.num_parts[change.revision]
        return f"Imported a file: it changed {num} node{'s' if num > 1 else ''}, among them {what}."
    if change.kind in WIDE:
        return _wide(change, node, others.parts[change.revision])
    if change.kind == "moved":
        above = [
            others.by_id.get((side or {}).get("parent_id") or 0)
            for side in (change.before, change.after)
        ]
        places = [f"“{each.name}”" if each else "the top" for each in above]
        return f"Moved {what} from {places[0]} to {places[1]}."
    return f"{change.kind.capitalize()} {what}."


def _wide(change: NodeChange, node: Node, parts: list[tuple[NodeChange, Node]]) -> str:
    old = [f"“{_name_then(*each)}”" for each in parts if (each[0].after or {}).get("removed")]
    ids = [
        value
        for each, _ in parts
        for value in ((each.after or {}).get("successors") or {}).get("to", ())
    ]
    new = {each.id: f"“{_name_then(change, each)}”" for change, each in parts if each.id in ids}
    came = " and ".join(new.values())
    what = f"{node.kind}{'s' if len(old) > 1 else ''} {' and '.join(old)}"
    if change.kind == "redefined":
        return f"Gave the {what} another meaning: {came}."
    return f"{change.kind.capitalize()} the {what} into {came}."


def _name_then(change: NodeChange, node: Node) -> str:
    """The node's name as it was before the change, so that a row of history can be read alone."""
    past = change.before or change.after or {}
    names = ("name",) if node.kind == "dimension" else ("positive_name", "negative_name")
    return " / ".join(past.get(field) or getattr(node, field) or "" for field in names)


def _differences(change: NodeChange) -> tuple[Difference, ...]:
    before, after = change.before or {}, change.after or {}
    if change.before is None or change.after is None:
        return ()
    texts = [
        Difference(field.replace("_", " "), str(before.get(field) or ""), str(text or ""))
        for field in (*TEXTS, "relation")
        if (text := after.get(field)) != before.get(field)
    ]
    if after.get("exclusive") != before.get("exclusive"):
        was, now = ("yes" if side.get("exclusive") else "no" for side in (before, after))
        texts.append(Difference("exclusive", was, now))
    return (*texts, *_details(before.get("details") or {}, after.get("details") or {}))


def _details(before: Json, after: Json) -> Iterator[Difference]:
    for part in ("", *POLARITIES):
        was, now = (side.get(part, {}) if part else side for side in (before, after))
        for each in detail_changes("", was, now):
            label = f"{part} {FIELDS[each.field][0]}".strip()
            yield Difference(label, _flat(each.before), _flat(each.after))


def _flat(value: str | tuple[str, ...] | None) -> str:
    return value if isinstance(value, str) else "; ".join(value or ())

"""Merging, splitting and redefining nodes of the working criteria.

What is replaced leaves the tree and names its successors for ever. Labels are not touched here: the
publication carries them over or has them looked at again (`app.versions.succession`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.editing import (
    add_node,
    new_dimension,
    new_pair,
    next_position,
    open_node,
    refuse_taken_names,
    tidied,
)
from app.criteria.models import Node
from app.criteria.reading import NAMES, dimension_of, pair_of, title
from app.criteria.recording import Part, content, record_parts
from app.criteria.saying import put_details
from app.criteria.staleness import refuse_stale
from app.criteria.successions import set_successors
from app.criteria.wholeness import refuse_broken
from app.criteria.working import Working, open_working
from app.database import Json
from app.errors import Conflict, Invalid
from app.projects.models import Project
from taxonomy import tree
from taxonomy.changes import is_same_text
from taxonomy.formats.details import said_of
from taxonomy.inheriting import copied, merged
from taxonomy.tree import POLARITIES, Attribute

MAX_MERGED = 50


@dataclass(frozen=True, slots=True)
class NewPair:
    """An attribute pair that takes the place of others. `said` is what it says beside its texts, named as in
    a file, over what it takes over (`taxonomy.inheriting`).
    """

    relation: str
    positive: Attribute
    negative: Attribute
    said: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewDimension:
    """A dimension that takes the place of others; their children move below it."""

    name: str
    definition: str = ""
    exclusive: bool = False


def merge(
    db: Session,
    project: Project,
    keys: Sequence[str],
    *,
    into: str | NewPair | NewDimension,
    based_on: Mapping[str, int],
    by: Person,
    said: Mapping[str, Any] | None = None,
    texts: Mapping[str, str] | None = None,
) -> Node:
    """Merge pairs into one, or dimensions, whose children move; into one that is there or a new one.

    The one that stays takes over what the others say, with their names, so that search finds it by them;
    `said` goes over that, named as in a file, and `texts` are other names and definitions of it, by column,
    which may be those of the others. `based_on` has the revision of each node that the person saw. Raises NotFound, Invalid, Conflict
    where they do not fit together, and Stale where someone changed one of them since.
    """
    with db.begin_nested():
        working = open_working(db, project)
        named = [*keys, into] if isinstance(into, str) else keys
        nodes = [open_node(db, working, key) for key in dict.fromkeys(named)]
        _refuse_unlike(working, nodes)
        for node in nodes:
            refuse_stale(db, working, node, _seen(based_on, node))
        if isinstance(into, str):
            target = working.by_key[into]
            if not working.is_live(target):
                raise Conflict(f"“{title(target)}” is retired; nothing can be merged into it.")
            old = [node for node in nodes if node is not target]
            _leave(old)
        else:
            _leave(nodes)
            old, target = nodes, _add(db, working, into, nodes[0])
        is_new = not isinstance(into, str)
        before = content(target)
        _rewrite(working, target, texts or {})
        refuse_turned(old, target)
        moved = _move_children(db, working, old, target)
        given = said or (into.said if isinstance(into, NewPair) else {})
        put_details(working, target, said_of(_merged(target, old, is_new=is_new)), given)
        parts = [
            *(_left(node, "merge", [target]) for node in old),
            Part(target, None, content(target)) if is_new else _rewritten(target, before),
            *moved,
        ]
        _record(db, working, "merged", parts, by)
    return target


def split(
    db: Session,
    project: Project,
    key: str,
    *,
    into: Sequence[NewPair],
    based_on: int,
    by: Person,
) -> list[Node]:
    """Put several new pairs in the place of one. Raises as `merge` does."""
    if len(into) < 2:
        raise Invalid("A split needs at least two new pairs.", field="into")
    return _replace(db, project, key, into, "split", based_on, by)


def redefine(
    db: Session, project: Project, key: str, *, new: NewPair, based_on: int, by: Person
) -> Node:
    """Give a pair another meaning: a new pair in its place, which may keep its names. Raises as `merge`."""
    return _replace(db, project, key, [new], "redefine", based_on, by)[0]


def _replace(
    db: Session,
    project: Project,
    key: str,
    into: Sequence[NewPair],
    kind: str,
    based_on: int,
    by: Person,
) -> list[Node]:
    with db.begin_nested():
        working = open_working(db, project)
        node = open_node(db, working, key)
        if node.kind != "pair":
            raise Invalid(
                f"“{title(node)}” is a dimension; only attribute pairs carry labels that a split or "
                "another meaning would concern.",
                field="key",
                hint="Add a dimension and move what belongs below it.",
            )
        refuse_stale(db, working, node, based_on)
        if not working.is_live(node):
            raise Conflict(f"“{title(node)}” is retired.", hint="Restore it first.")
        _leave([node])
        new = [_add(db, working, each, node) for each in into]
        for each, given in zip(new, into, strict=True):
            # What means something else is not what others call so, nor what they match.
            taken = said_of(copied(pair_of(each), pair_of(node))) if kind == "split" else {}
            put_details(working, each, taken, given.said)
        parts = [
            _left(node, kind, new),
            *(Part(each, None, content(each)) for each in new),
        ]
        _record(db, working, "split" if kind == "split" else "redefined", parts, by)
    return new


def refuse_turned(old: Sequence[Node], target: Node) -> None:
    """Raise Conflict where a side of a pair that is merged has its name on the other side of the pair it
    is merged into: a merge carries labels over side by side, so they would say the opposite.
    """
    sides = (target.positive_name or "", target.negative_name or "")
    for node in old:
        for name, other in zip(
            (node.positive_name, node.negative_name), reversed(sides), strict=True
        ):
            if node.kind == "pair" and is_same_text(name or "", other):
                raise Conflict(
                    f"“{name}” stands on one side of “{title(node)}” and on the other side of "
                    f"“{title(target)}”: labels would say the opposite after the merge.",
                    field="into",
                    hint="Exchange the two names of one of them first; you are asked then what becomes of "
                    "its labels.",
                )


# What they share -----------------------------------------------------------------------------


def _refuse_unlike(working: Working, nodes: Sequence[Node]) -> None:
    if len(nodes) < 2:
        raise Invalid("A merge needs at least two nodes.", field="keys")
    if len(nodes) > MAX_MERGED:
        raise Invalid(f"At most {MAX_MERGED} nodes are merged at once.", field="keys")
    if len({node.kind for node in nodes}) > 1:
        raise Invalid(
            "Attribute pairs and dimensions cannot be merged with one another.", field="keys"
        )
    chosen = {node.id for node in nodes}
    for node in nodes:
        for above in working.above(node)[:-1]:
            if above.id in chosen:
                raise Invalid(
                    f"“{title(node)}” stands below “{title(above)}”; they cannot be merged.",
                    field="keys",
                )


def _seen(based_on: Mapping[str, int], node: Node) -> int:
    if node.key not in based_on:
        raise Invalid(f"Say which revision of {node.key} you saw.", field="based_on")
    return based_on[node.key]


def _leave(nodes: Sequence[Node]) -> None:
    for node in nodes:
        node.removed = True
        node.revision += 1


def _left(node: Node, kind: str, new: Sequence[Node]) -> Part:
    successors = {"kind": kind, "to": [each.id for each in new]}
    return Part(
        node,
        {"removed": False, "successors": None},
        {"removed": True, "successors": successors},
    )


def _add(db: Session, working: Working, new: NewPair | NewDimension, first: Node) -> Node:
    """A new node in the place of `first`."""
    parent = working.by_id[first.parent_id] if first.parent_id is not None else None
    if parent is not None and not working.is_live(parent):
        raise Conflict(f"“{title(parent)}” is retired; nothing can be added below it.")
    if isinstance(new, NewDimension):
        if first.kind != "dimension":
            raise Invalid("Attribute pairs are merged into an attribute pair.", field="into")
        node = new_dimension(
            working, parent, name=new.name, definition=new.definition, exclusive=new.exclusive
        )
    else:
        if first.kind != "pair" or parent is None:
            raise Invalid("Dimensions are merged into a dimension.", field="into")
        node = new_pair(
            working, parent, relation=new.relation, positive=new.positive, negative=new.negative
        )
    # New ids are greater, so those that share the place of the one they replace stand in their order.
    node.position = first.position
    add_node(db, working, node)
    return node


def _merged(target: Node, old: Sequence[Node], *, is_new: bool) -> tree.Node:
    """What the target says then. A new one begins with what the first says, under its own names."""
    if target.kind == "dimension":
        dimensions = [dimension_of(node) for node in old]
        into = dimension_of(target)
        if is_new:
            into = replace(into, words=dimensions[0].words, needs=dimensions[0].needs)
        return merged(into, dimensions)
    pairs = [pair_of(node) for node in old]
    whole = pair_of(target)
    return merged(copied(whole, pairs[0]) if is_new else whole, pairs)


def details_together(nodes: Sequence[Node]) -> Json:
    """What nodes say together, with all names that any of them goes by: what a merge would begin with."""
    into, *others = nodes
    said: Json = dict(said_of(_merged(into, others, is_new=False)))
    if into.kind == "dimension":
        return {**said, "alternatives": [into.name, *said.get("alternatives", ())]}
    sides = {
        each: {**side, "alternatives": [pair_of(into).attribute(each).name, *names]}
        for each in POLARITIES
        for side in [said.get(each, {})]
        for names in [side.get("alternatives", ())]
    }
    return said | dict(sides)


def _rewrite(working: Working, target: Node, texts: Mapping[str, str]) -> None:
    """Give the one that stays other names and definitions."""
    if not texts:
        return
    tidy = tidied(target, texts)
    if names := {field: text for field, text in tidy.items() if field in NAMES}:
        refuse_taken_names(working, target, names)
    for column, text in tidy.items():
        setattr(target, column, text)


def _rewritten(target: Node, before: Json) -> Part:
    after = {field: value for field, value in content(target).items() if value != before[field]}
    target.revision += bool(after)
    return Part(target, {field: before[field] for field in after}, after)


def _move_children(db: Session, working: Working, old: Sequence[Node], target: Node) -> list[Part]:
    gone = [node.id for node in old]
    children = working.own(
        db,
        [each for above in gone for each in working.below(above) if not each.removed],
    )
    parts = []
    for child in sorted(
        children, key=lambda each: (gone.index(each.parent_id or 0), each.position, each.id)
    ):
        before = {"parent_id": child.parent_id, "position": child.position}
        child.position = next_position(working, target, child.kind)
        child.parent_id = target.id
        child.revision += 1
        after = {"parent_id": target.id, "position": child.position}
        parts.append(Part(child, before, after))
    return parts


def _record(db: Session, working: Working, kind: str, parts: Sequence[Part], by: Person) -> None:
    refuse_broken(working, [part.node for part in parts if part.node is not None])
    change = record_parts(db, working.criteria, kind, parts, by=by)[0]
    for part in parts:
        if part.node is not None and (part.after or {}).get("successors"):
            set_successors(db, part.node, (part.after or {})["successors"], change.id)

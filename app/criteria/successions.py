"""What took the place of nodes that left the tree, and where a key of long ago leads to today."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.orm import Session, aliased

from app.criteria.models import Node, NodeSuccession
from app.database import Json
from app.errors import NotFound
from app.projects.models import Project
from taxonomy.tree import resolve

# How a node came to leave, in the words of a sentence.
REPLACED = {
    "merge": "merged into",
    "split": "split into",
    "redefine": "given another meaning as",
    "return": "taken back into",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a key stands for today. `kind` says how the node left, None while it is in the tree.

    `successors` are the nodes in the tree that took its place, however many steps later.
    """

    node: Node
    kind: str | None
    successors: tuple[Node, ...]


def find_successors(db: Session, project: Project) -> dict[str, tuple[str, ...]]:
    """The keys that directly took the place of each key that left the tree, by key."""
    old, new = aliased(Node), aliased(Node)
    rows = db.execute(
        select(old.key, new.key)
        .select_from(NodeSuccession)
        .join(old, old.id == NodeSuccession.old_id)
        .join(new, new.id == NodeSuccession.new_id)
        .where(NodeSuccession.project_id == project.id)
        .order_by(old.key, NodeSuccession.place)
    )
    found: dict[str, tuple[str, ...]] = {}
    for old_key, new_key in rows:
        found[old_key] = (*found.get(old_key, ()), new_key)
    return found


def stand_for(db: Session, project: Project, key: str) -> Standing:
    """What a key stands for, also one that left the tree. Raises NotFound where there never was one."""
    node = db.scalar(select(Node).where(Node.project_id == project.id, Node.key == key))
    if node is None:
        raise NotFound(f"The criteria have no node “{key}”.")
    rows = _rows_of(db, node)
    if not rows:
        if node.removed:
            raise NotFound(f"The criteria have no node “{key}” any more.")
        return Standing(node, None, ())
    known = find_successors(db, project)
    there = {
        each.key: each
        for each in db.scalars(select(Node).where(Node.project_id == project.id, ~Node.removed))
    }
    keys = resolve(key, known, there.__contains__)
    return Standing(node, rows[0].kind, tuple(there[each] for each in keys))


def find_predecessors(
    db: Session, node: Node, *, by: Collection[str] = tuple(REPLACED)
) -> Sequence[Node]:
    """The nodes that left the tree and whose place this one took, however many steps later, by changes of
    these kinds; one query.
    """
    here = (NodeSuccession.project_id == node.project_id, NodeSuccession.kind.in_(by))
    old = (
        select(NodeSuccession.old_id)
        .where(NodeSuccession.new_id == node.id, *here)
        .cte("predecessor", recursive=True)
    )
    old = old.union(
        select(NodeSuccession.old_id).join(old, old.c.old_id == NodeSuccession.new_id).where(*here)
    )
    return db.scalars(select(Node).where(Node.id.in_(select(old.c.old_id))).order_by(Node.id)).all()


def missing_node(db: Session, project: Project, key: str) -> NotFound:
    """The refusal of a key that is not in the tree; it says what took its place."""
    try:
        found = stand_for(db, project, key)
    except NotFound as error:
        return error
    if found.kind is None:
        return NotFound(f"The criteria have no node “{key}”.")
    keys = [each.key for each in found.successors]
    return NotFound(
        f"“{key}” is no longer in the criteria; it was {REPLACED[found.kind]} {' and '.join(keys) or 'nothing'}.",
        hint=f"Use {' or '.join(keys)}." if keys else None,
        successors=keys,
    )


# As a recorded change holds it, beside the columns of a node ----------------------------------


def set_successors(db: Session, node: Node, value: Json | None, change_id: int) -> None:
    """Say what took the node's place (`{"kind": ..., "to": [ids]}`), or with None that nothing did."""
    db.execute(delete(NodeSuccession).where(NodeSuccession.old_id == node.id))
    for place, new_id in enumerate(value["to"] if value else ()):
        db.add(
            NodeSuccession(
                project_id=node.project_id,
                old_id=node.id,
                new_id=new_id,
                place=place,
                kind=value["kind"] if value else "",
                change_id=change_id,
            )
        )
    db.flush()


def find_successor_ids(db: Session, project: Project) -> Mapping[int, Sequence[NodeSuccession]]:
    """The successions of a project by the node that left, each in its order."""
    rows = db.scalars(
        select(NodeSuccession)
        .where(NodeSuccession.project_id == project.id)
        .order_by(NodeSuccession.change_id, NodeSuccession.old_id, NodeSuccession.place)
    )
    found: dict[int, list[NodeSuccession]] = {}
    for row in rows:
        found.setdefault(row.old_id, []).append(row)
    return found


def _rows_of(db: Session, node: Node) -> Sequence[NodeSuccession]:
    return db.scalars(
        select(NodeSuccession)
        .where(NodeSuccession.old_id == node.id)
        .order_by(NodeSuccession.place)
    ).all()

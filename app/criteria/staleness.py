"""Edits of whole nodes that were based on an older state: refused with the other's change in view."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.criteria.editing import stale
from app.criteria.models import Node, NodeChange
from app.criteria.working import Working
from app.database import Json


def refuse_stale(db: Session, working: Working, node: Node, based_on: int) -> None:
    """Raise Stale with what changed since, where `based_on` is not the node's revision."""
    if based_on == node.revision:
        return
    raise stale(db, node, _changed_since(db, working, node, based_on), None)


def _changed_since(db: Session, working: Working, node: Node, revision: int) -> Json:
    rows = db.scalars(
        select(NodeChange)
        .where(NodeChange.node_id == node.id, NodeChange.after.is_distinct_from({}))
        .order_by(NodeChange.id.desc())
        .limit(min(max(node.revision - revision, 1), 20))
    )
    changed: Json = {}
    for each in rows:
        changed = {**(each.after or {}), **changed}
    found: Json = {}
    for field in changed:
        if field == "parent_id":
            above = working.by_id.get(node.parent_id or 0)
            found["place"] = working.place(above) if above else "the top"
        elif field == "retired":
            found["state"] = "retired" if node.retired else "in use"
        elif field not in ("position", "positions", "removed", "successors", "key", "kind"):
            found[field] = getattr(node, field)
    return found or {"place": working.place(node)}

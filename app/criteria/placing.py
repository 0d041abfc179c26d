"""Moving a node of the working criteria below another one, or among its neighbours."""

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.editing import Working, open_node, open_parent, open_working
from app.criteria.models import Node
from app.criteria.reading import title
from app.criteria.recording import record
from app.criteria.staleness import refuse_stale
from app.criteria.wholeness import height, refuse_broken
from app.database import Json
from app.errors import Invalid
from app.projects.models import Project


def move(
    db: Session,
    project: Project,
    key: str,
    *,
    parent: str | None,
    before: str | None = None,
    based_on: int,
    by: Person,
) -> Node:
    """Put a node below the dimension `parent` (None: at the top), before its child `before` or last.

    Where it stands there already, nothing is recorded. Raises NotFound, Invalid for a place that a node
    of its kind cannot have, Conflict where a name there is taken, Stale.
    """
    with db.begin_nested():
        working = open_working(db, project)
        node = open_node(working, key)
        refuse_stale(db, working, node, based_on)
        above = open_parent(working, parent)
        _refuse_place(working, node, above)
        parent_id = above.id if above else None
        order = _neighbours(working, node, parent_id)
        place = len(order)
        if before is not None:
            other = open_node(working, before)
            if other not in order:
                raise Invalid(f"“{title(other)}” does not stand there.", field="before")
            place = order.index(other)
        order.insert(place, node)
        is_elsewhere = node.parent_id != parent_id
        positions = {each: number for number, each in enumerate(order)}
        changed = [
            each for each, number in positions.items() if each is node or each.position != number
        ]
        if not is_elsewhere and (len(changed) == 1 and node.position == positions[node]):
            return node
        was = _state(node, changed)
        node.parent_id = parent_id
        for each in changed:
            each.position = positions[each]
        node.revision += 1
        refuse_broken(working, [node])
        record(
            db,
            working.criteria,
            "moved" if is_elsewhere else "reordered",
            by=by,
            node=node,
            before=was,
            after=_state(node, changed),
        )
    return node


def _state(node: Node, changed: list[Node]) -> Json:
    """Where the node stands, and the places of its neighbours that make room for it."""
    return {
        "parent_id": node.parent_id,
        "positions": {str(each.id): each.position for each in changed},
    }


def _neighbours(working: Working, node: Node, parent_id: int | None) -> list[Node]:
    # Those that left keep their place among the others, for the day they come back.
    found = [
        each
        for each in working.by_id.values()
        if each.parent_id == parent_id and each.kind == node.kind and each is not node
    ]
    return sorted(found, key=lambda each: (each.position, each.id))


def _refuse_place(working: Working, node: Node, above: Node | None) -> None:
    if above is None and node.kind == "pair":
        raise Invalid("An attribute pair stands below a dimension.", field="parent")
    path = working.above(above)
    if node in path:
        raise Invalid(f"“{title(node)}” cannot stand below itself.", field="parent")
    if len(path) + height(working, node) > working.criteria.max_levels:
        raise Invalid(
            f"These criteria have at most {working.criteria.max_levels} levels, so there is no room for "
            f"“{title(node)}” there.",
            field="parent",
            hint="Choose a place further up.",
        )

"""Moving a node of the working criteria below another one, or among its neighbours."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.editing import open_node
from app.criteria.models import Node
from app.criteria.reading import get_criteria, get_node, title
from app.criteria.recording import record
from app.criteria.searching import search_nodes
from app.criteria.snapshots import Snapshot, read_snapshot
from app.criteria.staleness import refuse_stale
from app.criteria.wholeness import height, refuse_broken
from app.criteria.working import Standing, Working, open_working
from app.database import Json
from app.errors import AppError, Conflict, Invalid
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
        node = open_node(db, working, key)
        refuse_stale(db, working, node, based_on)
        above = open_node(db, working, parent) if parent is not None else None
        if refused := _Room(working, node).refusal(above):
            raise refused
        parent_id = above.id if above else None
        other = open_node(db, working, before) if before is not None else None
        order = _neighbours(working, node, parent_id)
        place = len(order)
        if other is not None:
            if other not in order:
                raise Invalid(f"“{title(other)}” does not stand there.", field="before")
            place = order.index(other)
        order.insert(place, node)
        is_elsewhere = node.parent_id != parent_id
        positions = {each.id: number for number, each in enumerate(order)}
        moving = [each for each in order if each is node or each.position != positions[each.id]]
        if not is_elsewhere and (len(moving) == 1 and node.position == positions[node.id]):
            return node
        changed = working.own(db, moving)
        was = _state(node, changed)
        node.parent_id = parent_id
        for each in changed:
            each.position = positions[each.id]
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
        each for each in working.below(parent_id) if each.kind == node.kind and each.id != node.id
    ]
    return sorted(found, key=lambda each: (each.position, each.id))


# Where a node may go -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A dimension that a node might go below, or the top, where `key` is None and `path` empty.

    `path` holds the names from the root dimension down to it; `problem` says why the node cannot go there.
    """

    key: str | None
    name: str
    path: tuple[str, ...]
    is_here: bool
    problem: str | None


def find_places(
    db: Session,
    project: Project,
    key: str,
    *,
    text: str = "",
    possible: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> tuple[list[Place], str | None]:
    """Dimensions in tree order with what stands against the node going there, those after the key `after`.

    Returns also the key to go on after, where there are more than `limit`. A dimension may go to the top,
    which then comes first. With a text those alone whose own words it finds; `possible` leaves out those
    that something stands against. Raises NotFound.
    """
    snapshot = read_snapshot(db, project)
    room = _room(db, project, snapshot, _find(db, project, snapshot, key))
    found = list(_dimensions(snapshot.nodes))
    if text.strip():
        wanted = {each.key for each in search_nodes(db, project, text)}
        found = [each for each in found if each.key in wanted]
    before = next((number for number, each in enumerate(found) if each.key == after), -1)
    rest = [each for each in found[before + 1 :] if not possible or room.refusal(each) is None]
    page: list[Node | None] = list(rest[:limit])
    if after is None and not text.strip() and room.refusal(None) is None:
        page.insert(0, None)
    return [room.place(each) for each in page], rest[limit - 1].key if len(rest) > limit else None


def get_place(db: Session, project: Project, key: str, parent: str | None) -> Place:
    """One place for a node, below `parent` or at the top, with what stands against it. Raises NotFound."""
    snapshot = read_snapshot(db, project)
    above = _find(db, project, snapshot, parent) if parent is not None else None
    return _room(db, project, snapshot, _find(db, project, snapshot, key)).place(above)


def find_neighbours(db: Session, project: Project, key: str, parent: str | None) -> list[Node]:
    """What a node would stand among below `parent` or at the top, itself included where it is there already.
    Rows to be read only. Raises NotFound.
    """
    snapshot = read_snapshot(db, project)
    node = _find(db, project, snapshot, key)
    above = _find(db, project, snapshot, parent).id if parent is not None else None
    return [each for each in snapshot.nodes if each.parent_id == above and each.kind == node.kind]


def _find(db: Session, project: Project, snapshot: Snapshot, key: str) -> Node:
    return snapshot.find(key) or get_node(db, project, key)


def _room(db: Session, project: Project, snapshot: Snapshot, node: Node) -> "_Room":
    criteria = get_criteria(db, project)
    return _Room(Working(criteria, snapshot, snapshot.by_id, snapshot.by_key), node)


def _dimensions(nodes: Iterable[Node]) -> Iterator[Node]:
    """Every dimension, those below another after it, as the tree shows them."""
    below: dict[int | None, list[Node]] = defaultdict(list)
    for each in nodes:
        if each.kind == "dimension":
            below[each.parent_id].append(each)

    def walk(parent_id: int | None) -> Iterator[Node]:
        for each in below[parent_id]:
            yield each
            yield from walk(each.id)

    return walk(None)


class _Room:
    """Which places have room for one node: asked by the move itself and before it by those who choose."""

    def __init__(self, working: Working, node: Node) -> None:
        self.node = node
        self._working = working
        self._levels = height(working, node)
        self._namesakes = {
            each.parent_id: each
            for each in Standing(working).bearing(node.name or "")
            if node.kind == each.kind == "dimension"
            and each.id != node.id
            and working.is_live(each)
        }

    def place(self, above: Node | None) -> Place:
        """A place as people see it before they choose it."""
        refused = self.refusal(above)
        return Place(
            key=above.key if above else None,
            name=title(above) if above else "The top of the tree",
            path=tuple(title(each) for each in self._working.above(above)),
            is_here=self.node.parent_id == (above.id if above else None),
            problem=refused.message if refused else None,
        )

    def refusal(self, above: Node | None) -> AppError | None:
        """Why the node cannot go below this dimension, or None where it can."""
        node, working = self.node, self._working
        if above is None and node.kind == "pair":
            return Invalid("An attribute pair stands below a dimension.", field="parent")
        if above is not None and above.kind != "dimension":
            return Invalid(
                f"“{title(above)}” is an attribute pair; nothing can stand below it.",
                field="parent",
            )
        path = working.above(above)
        if node in path:
            return Invalid(f"“{title(node)}” cannot stand below itself.", field="parent")
        if above is not None and not working.is_live(above):
            return Conflict(f"“{title(above)}” is retired; nothing can be put below it.")
        limit = working.criteria.max_levels
        if len(path) + self._levels > limit:
            return Invalid(
                f"These criteria have at most {limit} levels, so there is no room for “{title(node)}” there.",
                field="parent",
                hint="Choose a place further up.",
            )
        return self._clash(above)

    def _clash(self, above: Node | None) -> Conflict | None:
        namesake = self._namesakes.get(above.id if above else None)
        if namesake is None or self.node.retired:
            return None
        return Conflict(
            f"The name “{self.node.name}” is taken: {self._working.place(namesake)}.",
            field="name",
            hint="Rename one of them first.",
            taken_by=namesake.key,
        )

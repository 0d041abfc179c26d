"""The working criteria as they stand, kept in the process from one request to the next.

Pages, searches and edits ask for all nodes, of which there may be thousands, and between two requests at most
a few have changed. So what was read is kept with the last recorded change that it holds, and only what was
changed since is read anew. Changes are append-only and their ids are never used again, so a state that was
rolled back is told from the one that stands.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from app.criteria.models import Criteria, Node, NodeChange
from app.criteria.reading import build_tree, folded, names_of
from app.projects.models import Project
from taxonomy import tree

MAX_KEPT = 8
"""Projects whose criteria a process keeps; those of 5,000 nodes take some 20 MB with their search."""
MAX_CHANGES = 200
_COLUMNS = list(Node.__table__.columns)
Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Every node in the working criteria after the change `change_id`, retired ones included, to be read only.

    The nodes are rows with the columns of a `Node`. A row that did not change from one state to the next is
    the same object in both. `below` has the ids of what stands right below a node or at the top, `bearing`
    those of the nodes that bear a name (`folded`), both in no order.
    """

    change_id: int | None
    by_id: dict[int, Node]
    by_key: dict[str, Node]
    below: dict[int | None, tuple[int, ...]]
    bearing: dict[str, tuple[int, ...]]
    _once: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @property
    def nodes(self) -> Sequence[Node]:
        """Every node, children in their order."""
        return self.once(
            "nodes", lambda: tuple(sorted(self.by_id.values(), key=attrgetter("position", "id")))
        )

    def find(self, key: str) -> Node | None:
        """The node with this key, None where the tree has none."""
        return self.by_key.get(key)

    def tree(self, criteria: Criteria) -> tree.Criteria:
        """The nodes as a tree, without successors; `criteria` is the row of this state."""
        return self.once("tree", lambda: build_tree(criteria, self.nodes))

    def once(self, name: Hashable, make: Callable[[], Made]) -> Made:
        """What `make` makes of this state, made once."""
        if name not in self._once:
            self._once[name] = make()
        return cast(Made, self._once[name])

    def renewed(self, change_id: int | None, fresh: Mapping[int, Node | None]) -> "Snapshot":
        """The state after that change, where these nodes stand so (None: no longer) and all others as before."""
        new = Snapshot(
            change_id, dict(self.by_id), dict(self.by_key), dict(self.below), dict(self.bearing)
        )
        for node_id, node in fresh.items():
            new._put(node_id, node)
        return new

    def _put(self, node_id: int, node: Node | None) -> None:
        was = self.by_id.get(node_id)
        # A row that says what it said stays the same object.
        if was == node:
            return
        if was is not None:
            del self.by_id[node_id], self.by_key[was.key]
            _drop(self.below, was.parent_id, node_id)
            for name in {folded(each) for each in names_of(was).values()}:
                _drop(self.bearing, name, node_id)
        if node is not None:
            self.by_id[node_id] = self.by_key[node.key] = node
            self.below[node.parent_id] = (*self.below.get(node.parent_id, ()), node_id)
            for name in {folded(each) for each in names_of(node).values()}:
                self.bearing[name] = (*self.bearing.get(name, ()), node_id)


Place = TypeVar("Place", bound=Hashable)


def _drop(ids: dict[Place, tuple[int, ...]], where: Place, node_id: int) -> None:
    left = tuple(each for each in ids[where] if each != node_id)
    if left:
        ids[where] = left
    else:
        del ids[where]


class Kept(Generic[Made]):
    """The newest of something for a few projects, whichever threads ask."""

    def __init__(self) -> None:
        self._of: OrderedDict[int, Made] = OrderedDict()
        # What one thread has just found another may let go.
        self._lock = threading.Lock()

    def get(self, project_id: int) -> Made | None:
        """What is kept of a project."""
        return self._of.get(project_id)

    def put(self, project_id: int, made: Made) -> None:
        """Keep this, and let go what was not asked for longest."""
        with self._lock:
            self._of[project_id] = made
            self._of.move_to_end(project_id)
            while len(self._of) > MAX_KEPT:
                self._of.popitem(last=False)


_kept: Kept[Snapshot] = Kept()


def read_snapshot(db: Session, project: Project) -> Snapshot:
    """The working criteria as this transaction sees them; empty where a project has none."""
    db.flush()
    change_id = _last_change(db, project)
    kept = _kept.get(project.id)
    if kept is not None and kept.change_id == change_id:
        _kept.put(project.id, kept)
        return kept
    changed = _changed_since(db, project, kept) if kept is not None else None
    if kept is None or changed is None:
        nodes = _read(db, Node.project_id == project.id, ~Node.removed)
        found = Snapshot(None, {}, {}, {}, {}).renewed(change_id, nodes)
    else:
        nodes = _read(db, Node.id.in_(changed), ~Node.removed)
        found = kept.renewed(change_id, {each: nodes.get(each) for each in changed})
    # Criteria that nobody recorded a change of cannot be known again.
    if change_id is not None:
        _kept.put(project.id, found)
    return found


def read_removed(db: Session, project: Project) -> dict[int, Node]:
    """The nodes that left the working criteria, whose keys and places stay taken; rows to be read only."""
    return _read(db, Node.project_id == project.id, Node.removed.is_(True))


def _last_change(db: Session, project: Project) -> int | None:
    return db.scalar(
        select(NodeChange.id)
        .join(
            Criteria,
            (Criteria.project_id == NodeChange.project_id)
            & (Criteria.revision == NodeChange.revision),
        )
        .where(NodeChange.project_id == project.id, NodeChange.part == 0)
    )


def _read(db: Session, *which: ColumnElement[bool]) -> dict[int, Node]:
    rows = db.execute(select(*_COLUMNS).where(*which)).all()
    return {row.id: cast(Node, row) for row in rows}


def _changed_since(db: Session, project: Project, kept: Snapshot) -> set[int] | None:
    """The ids of all nodes that changes after a kept state touched; None where that is not to be told."""
    changes = db.execute(
        select(
            NodeChange.id, NodeChange.node_id, NodeChange.kind, NodeChange.before, NodeChange.after
        )
        .where(
            NodeChange.project_id == project.id,
            NodeChange.revision
            >= select(NodeChange.revision).where(NodeChange.id == kept.change_id).scalar_subquery(),
        )
        .order_by(NodeChange.revision, NodeChange.part)
        .limit(MAX_CHANGES + 1)
    ).all()
    # Without the kept change itself nothing is found: it was rolled back.
    since = changes[1:]
    if not changes or len(since) == MAX_CHANGES or any(each.kind == "loaded" for each in since):
        return None
    touched = {each.node_id for each in since if each.node_id is not None}
    for each in since:
        for side in (each.before, each.after):
            touched |= {int(node_id) for node_id in (side or {}).get("positions") or ()}
    return touched

"""The working criteria under lock, as an edit sees them: who stands where, and who bears which name."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.criteria.models import Criteria, Node
from app.criteria.reading import folded, names_of, title
from app.criteria.recording import lock_criteria
from app.criteria.snapshots import Snapshot, read_removed, read_snapshot
from app.projects.models import Project


@dataclass(slots=True)
class Working:
    """What nobody else can change meanwhile.

    Of thousands of nodes an edit changes a few. So the nodes are rows of `kept`, which are only read; those
    to be changed are made one's `own` first. With those that left the tree, whose keys and places stay taken,
    they are the `others`: whatever does not stand as `kept` says.
    """

    criteria: Criteria
    kept: Snapshot
    by_id: dict[int, Node]
    by_key: dict[str, Node]
    others: set[int] = field(default_factory=set)

    def own(self, db: Session, nodes: Iterable[Node]) -> list[Node]:
        """These nodes as objects that may be changed; from then on they stand among the others."""
        ids = [node.id for node in nodes]
        rows = {each for each in ids if not isinstance(self.by_id[each], Node)}
        if rows:
            found = select(Node).where(Node.id.in_(rows)).execution_options(populate_existing=True)
            for node in db.scalars(found):
                self.add(node)
        return [self.by_id[each] for each in ids]

    def add(self, node: Node) -> None:
        """Put a node that has its id and key among the others."""
        self.by_id[node.id] = self.by_key[node.key] = node
        self.others.add(node.id)

    def above(self, node: Node | None) -> list[Node]:
        """The node and what stands above it, from the root dimension down."""
        path: list[Node] = []
        while node is not None:
            path.append(node)
            node = self.by_id[node.parent_id] if node.parent_id is not None else None
        return path[::-1]

    def below(self, parent_id: int | None) -> Iterator[Node]:
        """What stands right below a node or at the top, in no order, with what has left from there."""
        for each in self.kept.below.get(parent_id, ()):
            if each not in self.others:
                yield self.by_id[each]
        yield from (
            node for each in self.others if (node := self.by_id[each]).parent_id == parent_id
        )

    def is_live(self, node: Node) -> bool:
        """Whether neither the node nor anything above it is removed or retired."""
        return not any(each.removed or each.retired for each in self.above(node))

    def place(self, node: Node) -> str:
        """Where a node stands, for people."""
        return " › ".join(title(each) for each in self.above(node))


def open_working(db: Session, project: Project) -> Working:
    """Lock the working criteria and read them as they are now, to change a few of the nodes (`Working.own`)."""
    criteria = lock_criteria(db, project)
    kept, removed = read_snapshot(db, project), read_removed(db, project)
    by_key = kept.by_key | {node.key: node for node in removed.values()}
    return Working(criteria, kept, kept.by_id | removed, by_key, set(removed))


class Standing:
    """Who stands below whom and who bears which name at one moment, for those who ask of many nodes."""

    def __init__(self, working: Working) -> None:
        self._working = working
        self._below: dict[int | None, list[Node]] = defaultdict(list)
        self._bearing: dict[str, list[Node]] = defaultdict(list)
        for each in working.others:
            node = working.by_id[each]
            if node.removed:
                continue
            self._below[node.parent_id].append(node)
            for name in {folded(each) for each in names_of(node).values()}:
                self._bearing[name].append(node)

    def below(self, parent_id: int | None) -> list[Node]:
        """What stands right below a node or at the top, in no order."""
        return self._with(self._working.kept.below.get(parent_id, ()), self._below[parent_id])

    def bearing(self, name: str) -> list[Node]:
        """The nodes that bear this name, however it is written, retired ones too."""
        name = folded(name)
        return self._with(self._working.kept.bearing.get(name, ()), self._bearing[name])

    def _with(self, kept: Iterable[int], others: list[Node]) -> list[Node]:
        working = self._working
        return [*(working.by_id[each] for each in kept if each not in working.others), *others]

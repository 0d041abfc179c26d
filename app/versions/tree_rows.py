"""The working criteria arranged as people see them: branches with what stands below and its counts."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from app.criteria.models import Node
from app.versions.counting import LabelCounts

OPEN_LEVELS = 1
MAX_WHOLE = 1000
"""Nodes of criteria whose page holds every line; of larger ones closed branches are brought when they are opened."""


@dataclass(slots=True)
class Branch:
    """A dimension with what is below it. The counts include everything below; retired pairs are
    left out of `num_pairs`. What is below one that is `away` is not on the page yet.
    """

    node: Node
    level: int
    is_open: bool
    is_retired: bool
    is_away: bool = False
    branches: list["Branch"] = field(default_factory=list)
    pairs: list[Node] = field(default_factory=list)
    num_pairs: int = 0
    labels: LabelCounts = field(default_factory=LabelCounts)


def build_branches(
    nodes: Sequence[Node],
    labels: Mapping[int, LabelCounts],
    *,
    opened: Collection[int] = (),
) -> list[Branch]:
    """The root branches; those of the first levels and those in `opened` (node ids) are open.

    Of more than `MAX_WHOLE` nodes those that are closed are away.
    """
    is_whole = len(nodes) <= MAX_WHOLE
    below: dict[int | None, list[Node]] = defaultdict(list)
    for node in nodes:
        below[node.parent_id].append(node)

    def branch(node: Node, level: int, *, above_retired: bool) -> Branch:
        is_retired = above_retired or node.retired
        is_open = level <= OPEN_LEVELS or node.id in opened
        made = Branch(node, level, is_open, is_retired, is_away=not is_open and not is_whole)
        for child in below[node.id]:
            if child.kind == "dimension":
                inner = branch(child, level + 1, above_retired=is_retired)
                made.branches.append(inner)
                made.num_pairs += inner.num_pairs
                made.labels.add(inner.labels)
            else:
                made.pairs.append(child)
                made.num_pairs += not (is_retired or child.retired)
                if child.id in labels:
                    made.labels.add(labels[child.id])
        return made

    return [branch(node, 1, above_retired=False) for node in below[None]]


def branches_at(roots: Iterable[Branch], node_ids: Collection[int]) -> list[Branch]:
    """Those of these dimensions, and of those above these pairs or dimensions, from the top down."""
    found: list[Branch] = []

    def look(branch: Branch) -> bool:
        place = len(found)
        is_one = branch.node.id in node_ids or any(each.id in node_ids for each in branch.pairs)
        is_above = [look(each) for each in branch.branches]
        if is_one or any(is_above):
            found.insert(place, branch)
            return True
        return False

    for each in roots:
        look(each)
    return found


def path_to(node: Node, nodes: Iterable[Node]) -> list[Node]:
    """What stands above a node, from the root dimension down, without the node itself."""
    by_id = {each.id: each for each in nodes}
    path: list[Node] = []
    parent_id = node.parent_id
    while parent_id is not None:
        path.append(by_id[parent_id])
        parent_id = by_id[parent_id].parent_id
    return path[::-1]


def pairs_below(node: Node, nodes: Iterable[Node]) -> set[int]:
    """The ids of the pairs at or below a node."""
    if node.kind == "pair":
        return {node.id}
    below: dict[int | None, list[Node]] = defaultdict(list)
    for each in nodes:
        below[each.parent_id].append(each)
    found: set[int] = set()
    waiting = [node]
    while waiting:
        each = waiting.pop()
        if each.kind == "pair":
            found.add(each.id)
        waiting.extend(below[each.id])
    return found

"""What has to hold after any change of several nodes: places, levels and names fit together."""

from collections import defaultdict
from collections.abc import Iterable

from app.criteria.editing import Working, folded, names_of
from app.criteria.models import Node
from app.criteria.reading import title
from app.errors import Conflict
from taxonomy.tree import find_cycle


def refuse_broken(working: Working, touched: Iterable[Node]) -> None:
    """Raise Conflict where the touched nodes do not fit into the tree as it is now: a node below one
    that is gone or below itself, a level too many, a name that another bears.
    """
    below = _children(working)
    _refuse_circles(working)
    concerned: dict[int, Node] = {}
    for node in touched:
        if node.removed:
            if below[node.id]:
                raise Conflict(
                    f"“{title(node)}” has nodes below it.", hint="Undo adding those first."
                )
            continue
        _refuse_no_parent(working, node)
        concerned |= {each.id: each for each in _with_all_below(node, below)}
    _refuse_deep(working, concerned.values())
    _refuse_clashes(working, concerned)


def height(working: Working, node: Node) -> int:
    """How many levels a node and what is below it take; a dimension alone takes two, for a pair."""
    below = _children(working)

    def levels(top: Node) -> int:
        if not below[top.id]:
            return 1 if top.kind == "pair" else 2
        return 1 + max(levels(each) for each in below[top.id])

    return levels(node)


def _children(working: Working) -> dict[int | None, list[Node]]:
    below: dict[int | None, list[Node]] = defaultdict(list)
    for node in working.by_id.values():
        if not node.removed:
            below[node.parent_id].append(node)
    return below


def _with_all_below(node: Node, below: dict[int | None, list[Node]]) -> list[Node]:
    found, waiting = [], [node]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting += below[each.id]
    return found


def _refuse_circles(working: Working) -> None:
    parents = {each.id: each.parent_id for each in working.by_id.values()}
    if cycle := find_cycle(parents):
        names = " and ".join(f"“{title(working.by_id[each])}”" for each in cycle[:2])
        raise Conflict(f"Then {names} would stand below one another.")


def _refuse_no_parent(working: Working, node: Node) -> None:
    parent = working.by_id[node.parent_id] if node.parent_id is not None else None
    if parent is not None and parent.removed:
        raise Conflict(
            f"“{title(parent)}”, where “{title(node)}” stood, is no longer there.",
            hint="Bring that back first.",
        )


def _refuse_deep(working: Working, nodes: Iterable[Node]) -> None:
    limit = working.criteria.max_levels
    for node in nodes:
        if working.is_live(node) and len(working.above(node)) > limit:
            raise Conflict(
                f"“{title(node)}” would stand on level {len(working.above(node))}; these criteria have "
                f"at most {limit}."
            )


def _refuse_clashes(working: Working, concerned: dict[int, Node]) -> None:
    bearers: dict[tuple[object, str], Node] = {}
    names = {folded(name) for node in concerned.values() for name in names_of(node).values()}
    live = [
        each for each in working.by_id.values() if _may_bear(each, names) and working.is_live(each)
    ]
    # Those that were there first, so that the other one is named.
    for node in sorted(live, key=lambda each: each.id in concerned):
        for field, name in names_of(node).items():
            scope = node.parent_id if node.kind == "dimension" else "pair"
            other = bearers.setdefault((scope, folded(name)), node)
            if other is not node and node.id in concerned:
                raise Conflict(
                    f"The name “{name}” is taken: {working.place(other)}.",
                    field=field,
                    hint="Choose another name.",
                    taken_by=other.key,
                )


def _may_bear(node: Node, names: set[str]) -> bool:
    first, second = node.name or node.positive_name or "", node.negative_name or ""
    return folded(first) in names or folded(second) in names

"""What has to hold after any change of several nodes: places, levels and names fit together."""

from collections.abc import Iterable

from app.criteria.models import Node
from app.criteria.reading import names_of, title
from app.criteria.working import Standing, Working
from app.errors import Conflict
from taxonomy.tree import find_cycle


def refuse_broken(working: Working, touched: Iterable[Node]) -> None:
    """Raise Conflict where the touched nodes do not fit into the tree as it is now: a node below one
    that is gone or below itself, a level too many, a name that another bears.
    """
    standing = Standing(working)
    _refuse_circles(working)
    concerned: dict[int, Node] = {}
    for node in touched:
        if node.removed:
            if standing.below(node.id):
                raise Conflict(
                    f"“{title(node)}” has nodes below it.", hint="Undo adding those first."
                )
            continue
        _refuse_no_parent(working, node)
        concerned |= {each.id: each for each in _with_all_below(node, standing)}
    _refuse_deep(working, concerned.values())
    _refuse_clashes(working, standing, concerned)


def height(working: Working, node: Node) -> int:
    """How many levels a node and what is below it take; a dimension alone takes two, for a pair."""
    standing = Standing(working)

    def levels(top: Node) -> int:
        below = standing.below(top.id)
        if not below:
            return 1 if top.kind == "pair" else 2
        return 1 + max(levels(each) for each in below)

    return levels(node)


def _with_all_below(node: Node, standing: Standing) -> list[Node]:
    found, waiting = [], [node]
    while waiting:
        each = waiting.pop()
        found.append(each)
        waiting += standing.below(each.id)
    return found


def _refuse_circles(working: Working) -> None:
    # Only who was moved can close a circle, and it goes through them.
    parents: dict[int, int | None] = {}
    for each in working.others:
        up: int | None = each
        while up is not None and up not in parents:
            parents[up] = working.by_id[up].parent_id
            up = parents[up]
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


def _refuse_clashes(working: Working, standing: Standing, concerned: dict[int, Node]) -> None:
    before: set[int] = set()
    for node in concerned.values():
        if not working.is_live(node):
            continue
        for field, name in names_of(node).items():
            for other in standing.bearing(name):
                # Those that were there first are named; of several that came together the earlier one.
                came_later = other.id in concerned and other.id not in before
                if came_later or not _clash(node, other) or not working.is_live(other):
                    continue
                raise Conflict(
                    f"The name “{name}” is taken: {working.place(other)}.",
                    field=field,
                    hint="Choose another name.",
                    taken_by=other.key,
                )
        before.add(node.id)


def _clash(node: Node, other: Node) -> bool:
    """Whether two nodes may not bear one name: two pairs, or two dimensions below the same one."""
    if node.id == other.id or node.kind != other.kind:
        return False
    return node.kind == "pair" or node.parent_id == other.parent_id

"""What a tree becomes when a file of it is put in its place: nothing that has labels is thrown away."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

from taxonomy.tree import Criteria, Dimension, InvalidCriteria, Node, Pair

Kind = TypeVar("Kind", Dimension, Pair)


def put_in_place(old: Criteria, new: Criteria) -> Criteria:
    """The new tree together with what the old one has and it does not.

    A node that is missing in the new tree stays where it was, retired; one that the new tree names
    successors of makes room for them. Raises InvalidCriteria where a key of a dimension is now that of
    a pair, or the other way round.
    """
    _refuse_other_kinds(old, new)
    here = {entry.node.key for entry in new.walk()}
    replaced = {
        entry.node.key: new.resolve(entry.node.key)
        for entry in old.walk()
        if entry.node.key not in here and new.resolve(entry.node.key)
    }
    kept: dict[str | None, list[Node]] = {}
    before = dict(_neighbours(old))
    for entry in old.walk():
        if entry.node.key not in here and entry.node.key not in replaced:
            above = entry.parent.key if entry.parent else None
            place = _first_dimension(new, above) if above in replaced else above
            is_top = place is None or place in here
            node = _alone(entry.node)
            node = replace(node, retired=True) if is_top else node
            kept.setdefault(place, []).append(node)
    roots = _children(new.dimensions, kept.get(None, ()), Dimension, before)
    roots = tuple(_with_kept(each, kept, before) for each in roots)
    successors = {**old.successors, **replaced}
    return replace(new, dimensions=roots, successors=successors)


def replacements(old: Criteria, new: Criteria) -> Iterator[tuple[str, Node, tuple[str, ...]]]:
    """What the new tree takes out by naming successors: how, the node, and the keys in its place."""
    gone = [entry.node for entry in old.walk() if new.find(entry.node.key) is None]
    for node in gone:
        keys = new.successors[node.key]
        twins = [each for each in gone if new.successors[each.key] == keys]
        is_new = len(twins) == 1 and not old.find(keys[0]) and isinstance(node, Pair)
        yield "split" if len(keys) > 1 else "redefine" if is_new else "merge", node, keys


def _refuse_other_kinds(old: Criteria, new: Criteria) -> None:
    problems = []
    for entry in new.walk():
        was = old.find(entry.node.key)
        if was is not None and type(was.node) is not type(entry.node):
            kinds = (
                ("dimension", "pair") if isinstance(was.node, Dimension) else ("pair", "dimension")
            )
            problems.append(
                f"The key {entry.node.key} is that of a {kinds[0]} here and of a {kinds[1]} in the file; "
                "give that one another key."
            )
    if problems:
        raise InvalidCriteria(problems)


def _alone(node: Node) -> Node:
    """The node without its children: those that are kept come back to it, others went elsewhere."""
    return replace(node, dimensions=(), pairs=()) if isinstance(node, Dimension) else node


def _first_dimension(criteria: Criteria, key: str | None) -> str | None:
    """The dimension that took the place of one, or is above what took it."""
    entry = criteria.entry(criteria.resolve(key or "")[0])
    if isinstance(entry.node, Dimension):
        return entry.node.key
    return entry.parent.key if entry.parent else None


def _neighbours(criteria: Criteria) -> Iterator[tuple[str, str]]:
    """Each node with the one of its kind that stands before it."""
    yield from _pairwise(criteria.dimensions)
    for entry in criteria.walk():
        if isinstance(entry.node, Dimension):
            yield from _pairwise(entry.node.dimensions)
            yield from _pairwise(entry.node.pairs)


def _pairwise(nodes: Sequence[Node]) -> Iterator[tuple[str, str]]:
    return ((later.key, earlier.key) for earlier, later in pairwise(nodes))


def _with_kept(
    dimension: Dimension, kept: Mapping[str | None, Sequence[Node]], before: Mapping[str, str]
) -> Dimension:
    """A dimension with what is kept below it among its own children."""
    more = kept.get(dimension.key, ())
    inner = _children(dimension.dimensions, more, Dimension, before)
    return replace(
        dimension,
        dimensions=tuple(_with_kept(each, kept, before) for each in inner),
        pairs=_children(dimension.pairs, more, Pair, before),
    )


def _children(
    own: Sequence[Kind], kept: Sequence[Node], kind: type[Kind], before: Mapping[str, str]
) -> tuple[Kind, ...]:
    """The children with those that are kept, each after the one that it stood behind."""
    found = list(own)
    for node in kept:
        if isinstance(node, kind):
            keys = [each.key for each in found]
            earlier = before.get(node.key)
            while earlier is not None and earlier not in keys:
                earlier = before.get(earlier)
            found.insert(keys.index(earlier) + 1 if earlier is not None else 0, node)
    return tuple(found)

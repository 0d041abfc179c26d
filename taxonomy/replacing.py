"""What a tree becomes when a file of it is put in its place: nothing that has labels is thrown away."""

from collections.abc import Iterable
from dataclasses import replace

from taxonomy.tree import Criteria, Dimension, InvalidCriteria, Node, Pair


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
    for entry in old.walk():
        if entry.node.key not in here and entry.node.key not in replaced:
            above = entry.parent.key if entry.parent else None
            place = _first_dimension(new, above) if above in replaced else above
            is_top = place is None or place in here
            node = replace(entry.node, retired=True) if is_top else entry.node
            kept.setdefault(place, []).append(node)
    roots = tuple(_with_kept(each, kept) for each in new.dimensions)
    roots += tuple(_only_kept(each, kept) for each in _dimensions(kept.get(None, ())))
    successors = {**old.successors, **replaced}
    return replace(new, dimensions=roots, successors=successors)


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


def _first_dimension(criteria: Criteria, key: str | None) -> str | None:
    """The dimension that took the place of one, or is above what took it."""
    entry = criteria.entry(criteria.resolve(key or "")[0])
    if isinstance(entry.node, Dimension):
        return entry.node.key
    return entry.parent.key if entry.parent else None


def _with_kept(dimension: Dimension, kept: dict[str | None, list[Node]]) -> Dimension:
    """A dimension of the new tree, with what is kept below it after its own children."""
    more = kept.get(dimension.key, ())
    inner = tuple(_with_kept(each, kept) for each in dimension.dimensions)
    inner += tuple(_only_kept(each, kept) for each in _dimensions(more))
    pairs = dimension.pairs + tuple(each for each in more if isinstance(each, Pair))
    return replace(dimension, dimensions=inner, pairs=pairs)


def _only_kept(dimension: Dimension, kept: dict[str | None, list[Node]]) -> Dimension:
    """A dimension that is kept, with those of its children that are."""
    return _with_kept(replace(dimension, dimensions=(), pairs=()), kept)


def _dimensions(nodes: Iterable[Node]) -> list[Dimension]:
    return [each for each in nodes if isinstance(each, Dimension)]

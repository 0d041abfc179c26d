"""Which edition of the shipped criteria a project began with, and what it becomes under the newest one.

What the project's people wrote stays: nodes of their own, and texts that they changed and the edition did not.
"""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from taxonomy.replacing import put_in_place
from taxonomy.shipped import NEWEST, painting_edition
from taxonomy.tree import Criteria, Dimension, Pair

T = TypeVar("T")
# Places and keys are no texts: they are those of the edition.
_PLACED = ("key", "dimensions", "pairs")


def edition_of(criteria: Criteria) -> int | None:
    """The edition of the shipped criteria that a tree still is of, None where it is of none or the newest.

    It is of an edition while nodes are in use that the next one replaced, and half of its pairs are there.
    """
    for number in range(NEWEST - 1, 0, -1):
        edition, following = painting_edition(number), painting_edition(number + 1)
        gone = (each.node.key for each in edition.walk() if following.find(each.node.key) is None)
        if any(_is_live(criteria, key) for key in gone):
            keys = [pair.key for pair in edition.pairs()]
            if 2 * sum(criteria.find(key) is not None for key in keys) >= len(keys):
                return number
    return None


def taken_over(criteria: Criteria, number: int) -> Criteria:
    """What a tree of an edition becomes under the newest one.

    Nodes of the project's own stay in use where they stood. Of each text that the edition did not change,
    and of each that only the project changed, the project's stays; what both changed is the edition's.
    Raises InvalidCriteria where a key stands for a pair here and for a dimension there.
    """
    old, new = painting_edition(number), painting_edition(NEWEST)
    successors = {**new.successors, **criteria.successors}
    settled = replace(
        new,
        name=_settled(new.name, criteria.name, old.name),
        max_levels=max(new.max_levels, criteria.max_levels),
        dimensions=tuple(
            part for each in new.dimensions for part in _dimensions(each, criteria, old)
        ),
        successors=successors,
        content=_listed(new.content, criteria.content, old.content),
        styles=_listed(new.styles, criteria.styles, old.styles),
    )
    return _in_use_again(put_in_place(criteria, settled), criteria, settled)


def _is_live(criteria: Criteria, key: str) -> bool:
    entry = criteria.find(key)
    return entry is not None and not entry.retired


def _dimensions(new: Dimension, ours: Criteria, old: Criteria) -> tuple[Dimension, ...]:
    """A dimension of the edition with the project's texts; its children where the project replaced it."""
    inner = tuple(part for each in new.dimensions for part in _dimensions(each, ours, old))
    if new.key in ours.successors:
        return inner
    pairs = tuple(_node(each, ours, old) for each in new.pairs if each.key not in ours.successors)
    return (replace(_node(new, ours, old), dimensions=inner, pairs=pairs),)


def _node(new: Dimension | Pair, ours: Criteria, old: Criteria) -> Any:
    here, before = ours.find(new.key), old.find(new.key)
    if here is None or before is None or type(here.node) is not type(new):
        return new
    return _settled(new, here.node, before.node)


def _settled(new: T, ours: T, old: T) -> T:
    """Of three states of a thing the one that holds; part by part where it has parts."""
    if ours == old or new == ours:
        return new
    if new == old and not isinstance(new, Dimension):
        return ours
    if _are_words(new) and _are_words(ours) and _are_words(old):
        words: T = _words(new, ours, old)
        return words
    if not is_dataclass(new) or type(ours) is not type(new) or type(old) is not type(new):
        return new
    parts: dict[str, Any] = {
        each.name: _settled(*(getattr(state, each.name) for state in (new, ours, old)))
        for each in fields(new)
        if each.init and each.name not in _PLACED
    }
    return replace(new, **parts)  # type: ignore[type-var]


def _are_words(state: object) -> bool:
    return isinstance(state, tuple) and all(isinstance(each, str) for each in state)


def _words(new: Any, ours: Any, old: Any) -> Any:
    """A list of names or links: the edition's, without what the project took out, with what it added."""
    kept = [each for each in new if each in ours or each not in old]
    return (*kept, *(each for each in ours if each not in old and each not in kept))


def _listed(new: tuple[Any, ...], ours: tuple[Any, ...], old: tuple[Any, ...]) -> tuple[Any, ...]:
    """The edition's list with what the project added, in the order of the ids."""
    known = {each.id for each in (*new, *old)}
    return tuple(sorted((*new, *(each for each in ours if each.id not in known))))


def _in_use_again(result: Criteria, criteria: Criteria, edition: Criteria) -> Criteria:
    """What the edition does not know was retired as of a file that lacks it; here it stays as it was."""

    def of(dimension: Dimension) -> Dimension:
        kept: Dimension = _as_it_was(dimension)
        return replace(
            kept,
            dimensions=tuple(of(each) for each in dimension.dimensions),
            pairs=tuple(_as_it_was(each) for each in dimension.pairs),
        )

    def _as_it_was(node: Any) -> Any:
        here = criteria.find(node.key)
        if here is None or edition.find(node.key) is not None:
            return node
        return replace(node, retired=here.node.retired)

    return replace(result, dimensions=tuple(of(each) for each in result.dimensions))

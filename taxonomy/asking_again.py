"""Which attribute pairs have to be looked for again, in images that were labelled under an older version."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from taxonomy.changes import moved_texts, texts_of
from taxonomy.tree import Criteria, Dimension, Pair

Why: TypeAlias = Literal["new", "split", "redefined", "restored", "requirement", "words"]
WHY: dict[Why, str] = {
    "new": "new",
    "split": "split from another pair: asked where that one had labels",
    "redefined": "given another meaning",
    "restored": "in use again",
    "requirement": "needs less content than before: asked where that content is not known to be there",
    "words": "a name or definition went to or came from another pair",
}
"""What a change does to the pairs that are asked again, in words for people."""


@dataclass(frozen=True, slots=True)
class TouchedPair:
    """A pair in use that a change touched. `needed` is content that it does not need any more."""

    key: str
    why: Why
    needed: tuple[str, ...] = ()


def touched_pairs(old: Criteria, new: Criteria) -> tuple[TouchedPair, ...]:
    """The pairs in use in the new tree that who looked under the old one did not look for, in tree order.

    What was merged takes its labels along, what was renamed, described, moved or retired says what it said: those
    are not among them.
    """
    before = {pair.key for pair in old.active_pairs()}
    reworded = _reworded(old, new)
    found = []
    for pair in new.active_pairs():
        if pair.key in before:
            needed = tuple(sorted(_needs(old, pair.key) - _needs(new, pair.key)))
            if pair.key in reworded:
                found.append(TouchedPair(pair.key, "words"))
            elif needed:
                found.append(TouchedPair(pair.key, "requirement", needed))
        elif why := _why_in_use(old, new, pair):
            found.append(TouchedPair(pair.key, why))
    return tuple(found)


def only_pairs(criteria: Criteria, keys: Collection[str]) -> Criteria:
    """The tree with these pairs alone, and the dimensions that they stand in."""
    roots = (_only(each, keys) for each in criteria.dimensions)
    return replace(criteria, dimensions=tuple(each for each in roots if each is not None))


def _only(dimension: Dimension, keys: Collection[str]) -> Dimension | None:
    inner = (_only(each, keys) for each in dimension.dimensions)
    dimensions = tuple(each for each in inner if each is not None)
    pairs = tuple(each for each in dimension.pairs if each.key in keys)
    if not dimensions and not pairs:
        return None
    return replace(dimension, dimensions=dimensions, pairs=pairs)


def _why_in_use(old: Criteria, new: Criteria, pair: Pair) -> Why | None:
    """Why a pair is looked for that was not before; None where it took its labels over."""
    if old.find(pair.key) is not None:
        return "restored"
    into = [new.resolve(each.key) for each in old.active_pairs()]
    came_from = [each for each in into if pair.key in each]
    if not came_from:
        return "new"
    if any(len(each) > 1 for each in came_from):
        return "split"
    return "redefined" if len(came_from) == 1 else None


def _reworded(old: Criteria, new: Criteria) -> set[str]:
    moved = moved_texts(texts_of(old), texts_of(new))
    here = [each for each in moved if each.source.key not in new.successors]
    return {key for each in here for key in (each.source.key, each.target.key)}


def _needs(criteria: Criteria, key: str) -> set[str]:
    return {each for node in criteria.path_of(key) for each in criteria.entry(node).node.needs}

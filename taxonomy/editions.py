"""Which edition of the shipped criteria a project began with, and what it becomes under the newest one.

What the project's people wrote stays: nodes of their own, and texts that they changed. Where the edition changed
the same text, both are told, and people choose.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any, TypeAlias

from taxonomy.replacing import put_in_place
from taxonomy.shipped import NEWEST, painting_edition
from taxonomy.tree import (
    Criteria,
    Dimension,
    ImageContent,
    ImageStyle,
    Pair,
    StyleReading,
    Translation,
)

# The edition's state of a thing, the project's, and the one that both began with.
States: TypeAlias = tuple[Any, Any, Any]
# Places and keys are no texts: they are those of the edition.
_PLACED = ("key", "dimensions", "pairs")
# Lists whose items are told apart by the first thing they say.
_NAMED = (Translation, StyleReading, ImageContent, ImageStyle)


@dataclass(frozen=True, slots=True)
class Both:
    """A text that the project and the edition both changed, each otherwise, and what it was before.

    `key` is the node's, or "" for the criteria themselves; `part` says which of its texts, from the outside
    in: `positive.name`, `translations.zh-Hans.definition`, `relation`. One that was taken out is empty.
    """

    key: str
    part: str
    was: str
    ours: str
    theirs: str

    @property
    def place(self) -> str:
        """The text's name in a choice: `clear-edges/positive.name`."""
        return f"{self.key}/{self.part}"


@dataclass(frozen=True, slots=True)
class Takeover:
    """What a tree becomes under the newest edition, and where people have to choose."""

    criteria: Criteria
    both: tuple[Both, ...]


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


def take_over(criteria: Criteria, number: int, theirs: Collection[str] = ()) -> Takeover:
    """What a tree of an edition becomes under the newest one.

    Nodes of the project's own stay in use where they stood. Of each text that only one of the two changed,
    that change holds; of one that both changed the project's, or the edition's where `theirs` has its place.
    Raises InvalidCriteria where a key stands for a pair here and for a dimension there, and ValueError where
    `theirs` names what is no such place.
    """
    old, new = painting_edition(number), painting_edition(NEWEST)
    settling = _Settling(criteria, old, frozenset(theirs))
    settled = replace(
        new,
        name=settling.settled((new.name, criteria.name, old.name), "", ("name",)),
        language=settling.settled(
            (new.language, criteria.language, old.language), "", ("language",)
        ),
        max_levels=max(new.max_levels, criteria.max_levels),
        dimensions=tuple(part for each in new.dimensions for part in settling.dimensions(each)),
        successors={**new.successors, **criteria.successors},
        content=settling.listed("content", new.content, criteria.content, old.content),
        styles=settling.listed("styles", new.styles, criteria.styles, old.styles),
    )
    if unknown := settling.theirs - {each.place for each in settling.both}:
        raise ValueError(f"“{min(unknown)}” is no text that both changed.")
    result = _in_use_again(put_in_place(criteria, settled), criteria, settled)
    return Takeover(result, tuple(settling.both))


def _is_live(criteria: Criteria, key: str) -> bool:
    entry = criteria.find(key)
    return entry is not None and not entry.retired


@dataclass
class _Settling:
    """Finds of three states of each thing the one that holds."""

    ours: Criteria
    old: Criteria
    theirs: frozenset[str]
    both: list[Both] = field(default_factory=list)

    def dimensions(self, new: Dimension) -> Iterator[Dimension]:
        """A dimension of the edition with the project's texts; its children where the project replaced it."""
        inner = tuple(part for each in new.dimensions for part in self.dimensions(each))
        if new.key in self.ours.successors:
            yield from inner
            return
        pairs = [each for each in new.pairs if each.key not in self.ours.successors]
        yield replace(
            self._node(new), dimensions=inner, pairs=tuple(self._node(each) for each in pairs)
        )

    def _node(self, new: Dimension | Pair) -> Any:
        here, before = self.ours.find(new.key), self.old.find(new.key)
        if here is None or before is None or type(here.node) is not type(new):
            return new
        return self.settled((new, here.node, before.node), new.key)

    def settled(self, states: States, key: str, at: tuple[str, ...] = ()) -> Any:
        """The state that holds; part by part where the thing has parts. `at` is where it stands in the node."""
        new, ours, old = states
        if ours == old or new == ours:
            return new
        if new == old and not isinstance(new, Dimension):
            return ours
        if is_dataclass(new) or isinstance(new, _NAMED):
            return self._parts(states, key, at)
        if isinstance(new, tuple):
            return self._items(states, key, at)
        found = Both(key, ".".join(at), str(old), str(ours), str(new))
        self.both.append(found)
        return new if found.place in self.theirs else ours

    def _parts(self, states: States, key: str, at: tuple[str, ...]) -> Any:
        new, ours, old = states
        parts = {
            each: self.settled(
                (getattr(new, each), getattr(ours, each), getattr(old, each)),
                key,
                # Words belong to what they are said of; nobody has heard of them as a thing.
                at if each == "words" else (*at, each),
            )
            for each in _names_of(new)
            if each not in _PLACED
        }
        return new._replace(**parts) if isinstance(new, _NAMED) else replace(new, **parts)

    def _items(self, states: States, key: str, at: tuple[str, ...]) -> Any:
        new, ours, old = states
        if any(isinstance(each, _NAMED) for each in (*new, *ours, *old)):
            return self._named(states, key, at)
        # Names, links or sides: the edition's, without what the project took out, with what it added.
        kept = [each for each in new if each in ours or each not in old]
        return (*kept, *(each for each in ours if each not in old and each not in kept))

    def _named(self, states: States, key: str, at: tuple[str, ...]) -> Any:
        """Items told apart by name, each settled for itself; one that is not there says nothing."""
        new, ours, old = ({each[0]: each for each in state} for state in states)
        every = new | ours | old
        found = (
            self.settled(
                (new.get(name, nothing), ours.get(name, nothing), old.get(name, nothing)),
                key,
                (*at, name),
            )
            for name in sorted(every)
            for nothing in [_silent(type(every[name]), name)]
        )
        return tuple(each for each in found if any(each[1:]))

    def listed(self, part: str, new: Any, ours: Any, old: Any) -> Any:
        """The edition's list of content or styles, which its nodes name, with what the project added."""
        here, before = ({each.id: each for each in state} for state in (ours, old))

        def item(each: Any) -> Any:
            was = before.get(each.id, _silent(type(each), each.id))
            return self.settled((each, here.get(each.id, was), was), "", (part, each.id))

        known = {each.id for each in (*new, *old)}
        return tuple(sorted((*map(item, new), *(each for each in ours if each.id not in known))))


def _names_of(thing: Any) -> Iterator[str]:
    if isinstance(thing, _NAMED):
        yield from thing._fields
    else:
        yield from (each.name for each in fields(thing) if each.init)


def _silent(kind: Any, name: str) -> Any:
    return kind(name, *(() if each == "alternatives" else "" for each in kind._fields[1:]))


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

"""The criteria tree: dimensions, attribute pairs and the ways to find one's place among them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, cast

Relation: TypeAlias = Literal["opposed", "flaw", "graded"]
Polarity: TypeAlias = Literal["positive", "negative"]
Reading: TypeAlias = Literal["neutral", "positive"]

RELATIONS: tuple[Relation, ...] = ("opposed", "flaw", "graded")
POLARITIES: tuple[Polarity, ...] = ("positive", "negative")
READINGS: tuple[Reading, ...] = ("neutral", "positive")

DEFAULT_LANGUAGE = "en"
DEFAULT_MAX_LEVELS = 5

Key = TypeVar("Key", bound=Hashable)
Made = TypeVar("Made")


class InvalidCriteria(ValueError):
    """A text is not a criteria tree; `problems` has a sentence with the place of each fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Side(NamedTuple):
    """One attribute: the key of its pair, and which side of it."""

    key: str
    polarity: Polarity


class Translation(NamedTuple):
    """A name and a definition in another language (a BCP 47 tag such as zh-Hans); one may be empty."""

    language: str
    name: str = ""
    definition: str = ""


class StyleReading(NamedTuple):
    """How an attribute reads in images of a style: as description, or as a merit."""

    style: str
    reads: Reading


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of a dimension or an attribute beside its name and definition.

    `translations` stand in the order of their tags. `alternatives` are names that search finds.
    `exact_match` and `close_match` are URIs of the same and of a similar concept elsewhere.
    """

    translations: tuple[Translation, ...] = ()
    alternatives: tuple[str, ...] = ()
    exact_match: tuple[str, ...] = ()
    close_match: tuple[str, ...] = ()
    scope_note: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Attribute:
    """One side of a pair: what is seen when it holds.

    `prompt` is what a text encoder is told in place of the name. `styles`, in the order of their ids,
    are those in which the attribute is not what its side says. `excludes` are attributes of other
    branches that cannot hold at the same time; said at one of the two, it counts for both.
    """

    name: str
    definition: str = ""
    words: Words = Words()
    prompt: str = ""
    styles: tuple[StyleReading, ...] = ()
    excludes: tuple[Side, ...] = ()

    @property
    def prompt_wording(self) -> str:
        """The words that a text encoder is told."""
        return self.prompt or self.name


@dataclass(frozen=True, slots=True)
class Pair:
    """A leaf: a positive and a negative attribute.

    `opposed`: both at once is a contradiction. `flaw`: the negative qualifies the positive and
    needs it. `graded`: each may be true of a different part of one picture. `needs` are ids of content
    that an image must hold for the pair to apply.
    """

    key: str
    relation: Relation
    positive: Attribute
    negative: Attribute
    retired: bool = False
    needs: tuple[str, ...] = ()
    scope_note: str = ""
    source: str = ""

    def attribute(self, polarity: Polarity) -> Attribute:
        return self.positive if polarity == "positive" else self.negative


@dataclass(frozen=True, slots=True)
class Dimension:
    """An inner node. `exclusive`: at most one positive attribute below it can hold, however deep.
    `needs` are ids of content that an image must hold for anything below to apply.
    """

    key: str
    name: str
    definition: str = ""
    exclusive: bool = False
    dimensions: tuple[Dimension, ...] = ()
    pairs: tuple[Pair, ...] = ()
    retired: bool = False
    words: Words = Words()
    needs: tuple[str, ...] = ()


Node: TypeAlias = Dimension | Pair


@dataclass(frozen=True, slots=True)
class Entry:
    """A node and its place. `path` holds the keys from the root dimension down to the node itself.

    `level` is 1 for a root dimension; a pair counts as a level too. `retired` is true when the node
    or any dimension above it is retired.
    """

    node: Node
    path: tuple[str, ...]
    level: int
    root: Dimension
    parent: Dimension | None
    retired: bool = False


@dataclass(frozen=True, slots=True)
class _Index:
    entries: tuple[Entry, ...]
    by_key: dict[str, Entry]
    derived: dict[Callable[..., Any], Any]


class ImageContent(NamedTuple):
    """Something that an image may hold and that branches may need, such as hands or a horizon."""

    id: str
    name: str
    definition: str = ""


class ImageStyle(NamedTuple):
    """A style of images in which attributes may read differently, and other names it goes by."""

    id: str
    name: str
    alternatives: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Criteria:
    """The whole tree. Built without checks: `taxonomy.checks.check` says what is wrong with it.

    `successors` says of nodes that were merged, split or given another meaning which nodes took their
    place, by key; polarities stay. What took the place may itself have been replaced since.

    `content` and `styles` are what nodes may name, each in the order of their ids.

    Tree order is depth first in file order: a dimension, its sub-dimensions, then its own pairs.
    Looking up a key that is not in the tree raises KeyError; of two nodes with one key (which
    `check` reports) the first is found.
    """

    name: str
    language: str = DEFAULT_LANGUAGE
    max_levels: int = DEFAULT_MAX_LEVELS
    dimensions: tuple[Dimension, ...] = ()
    successors: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    content: tuple[ImageContent, ...] = ()
    styles: tuple[ImageStyle, ...] = ()
    _index: _Index | None = field(default=None, init=False, repr=False, compare=False)

    def walk(self) -> Iterator[Entry]:
        """Every dimension and pair with its place, in tree order, retired ones included."""
        return iter(self._indexed().entries)

    def pairs(self) -> tuple[Pair, ...]:
        """Every pair in tree order, retired ones included."""
        return tuple(e.node for e in self._indexed().entries if isinstance(e.node, Pair))

    def active_pairs(self) -> tuple[Pair, ...]:
        """The pairs in tree order that are neither retired nor below a retired dimension."""
        entries = self._indexed().entries
        return tuple(e.node for e in entries if isinstance(e.node, Pair) and not e.retired)

    def find(self, key: str) -> Entry | None:
        """The node with this key and its place, or None."""
        return self._indexed().by_key.get(key)

    def entry(self, key: str) -> Entry:
        """The node with this key and its place."""
        entry = self.find(key)
        if entry is None:
            raise KeyError(f"Nothing in the criteria has the key {key!r}.")
        return entry

    def pair(self, key: str) -> Pair:
        entry = self.find(key)
        if entry is None or not isinstance(entry.node, Pair):
            raise KeyError(f"No attribute pair has the key {key!r}.")
        return entry.node

    def dimension(self, key: str) -> Dimension:
        entry = self.find(key)
        if entry is None or not isinstance(entry.node, Dimension):
            raise KeyError(f"No dimension has the key {key!r}.")
        return entry.node

    def root_of(self, key: str) -> Dimension:
        """The root dimension above the node (itself, for a root dimension)."""
        return self.entry(key).root

    def path_of(self, key: str) -> tuple[str, ...]:
        """The keys from the root dimension down to the node itself."""
        return self.entry(key).path

    def resolve(self, key: str) -> tuple[str, ...]:
        """The keys that stand for a key today: itself where nothing took its place, else what took it,
        however many steps later; none where the tree knows nothing of it.
        """
        return resolve(key, self.successors, lambda each: self.find(each) is not None)

    def derived(self, make: Callable[[Criteria], Made]) -> Made:
        """What `make` makes of this tree, made once: `criteria.derived(Rules)`. Whoever asks shares it, so that
        it must not be changed.
        """
        known = self._indexed().derived
        if make not in known:
            known[make] = make(self)
        return cast(Made, known[make])

    def _indexed(self) -> _Index:
        # Built once, on first need: editing makes many trees of which few are ever searched.
        if self._index is None:
            entries = tuple(_entries(self.dimensions))
            by_key = {entry.node.key: entry for entry in reversed(entries)}
            object.__setattr__(self, "_index", _Index(entries, by_key, {}))
        assert self._index is not None
        return self._index


def resolve(
    key: str, successors: Mapping[str, tuple[str, ...]], is_there: Callable[[str], bool]
) -> tuple[str, ...]:
    """Follow successors from a key to those that nothing replaced, each once, in their order."""
    found: dict[str, None] = {}
    seen: set[str] = set()
    waiting = [key]
    while waiting:
        each = waiting.pop(0)
        if each in seen:
            continue
        seen.add(each)
        if each in successors:
            waiting = [*successors[each], *waiting]
        elif is_there(each):
            found[each] = None
    return tuple(found)


def _entries(dimensions: tuple[Dimension, ...], above: Entry | None = None) -> Iterator[Entry]:
    for dimension in dimensions:
        here = _entry(dimension, above)
        yield here
        yield from _entries(dimension.dimensions, here)
        for pair in dimension.pairs:
            yield _entry(pair, here)


def _entry(node: Node, above: Entry | None) -> Entry:
    if above is None:
        assert isinstance(node, Dimension)
        return Entry(node, (node.key,), 1, node, None, node.retired)
    assert isinstance(above.node, Dimension)
    retired = above.retired or node.retired
    return Entry(node, (*above.path, node.key), above.level + 1, above.root, above.node, retired)


@dataclass(frozen=True, slots=True)
class Counts:
    """How large a tree is, retired nodes left out. `levels` is the deepest level in use.

    `dimensions` includes the root dimensions; `by_root` maps a root's key to its number of pairs.
    """

    root_dimensions: int
    levels: int
    attribute_pairs: int
    dimensions: int
    by_root: dict[str, int]


def counts(criteria: Criteria) -> Counts:
    active = [entry for entry in criteria.walk() if not entry.retired]
    dimensions = [entry for entry in active if isinstance(entry.node, Dimension)]
    by_root = {entry.node.key: 0 for entry in dimensions if entry.parent is None}
    for entry in active:
        if isinstance(entry.node, Pair):
            by_root[entry.root.key] += 1
    return Counts(
        root_dimensions=sum(entry.parent is None for entry in dimensions),
        levels=max((entry.level for entry in active), default=0),
        attribute_pairs=sum(by_root.values()),
        dimensions=len(dimensions),
        by_root=by_root,
    )


def find_cycle(parents: Mapping[Key, Key | None]) -> tuple[Key, ...] | None:
    """The nodes of a loop among child -> parent links, child before parent, or None.

    Nested data cannot hold a loop, rows with parent ids can. A parent that is not itself a key of
    the mapping counts as the top.
    """
    finished: set[Key] = set()
    for start in parents:
        trail: dict[Key, None] = {}
        node: Key | None = start
        while node is not None and node in parents and node not in finished:
            if node in trail:
                steps = list(trail)
                return tuple(steps[steps.index(node) :])
            trail[node] = None
            node = parents[node]
        finished.update(trail)
    return None

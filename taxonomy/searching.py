"""Finds attributes and nodes of a criteria tree by words: one ranking, wherever people search."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from taxonomy.folding import Findable, Hay, Query, find_marks, holds, rank, read_query
from taxonomy.tree import POLARITIES, Attribute, Criteria, Dimension, Entry, Pair, Polarity

Where: TypeAlias = Literal["name", "definition"]
Texts: TypeAlias = dict[str, str]
Marks: TypeAlias = dict[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class FoundAttribute:
    """An attribute that was found; `path` holds the names of the dimensions above it."""

    key: str
    polarity: Polarity
    name: str
    definition: str
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundNode:
    """A dimension or pair whose own words were found, and where: in a name, or only in a definition.

    `marks` says which characters of which of its texts were found, by the names of the columns. It is empty
    where the words are not among these, as those of another language.
    """

    key: str
    where: Where
    marks: Marks


class Index:
    """The words of a tree, to be searched many times. Made once for each tree."""

    def __init__(self, criteria: Criteria) -> None:
        self._attributes: list[tuple[FoundAttribute, Hay]] = []
        self._nodes: list[tuple[str, Hay]] = []
        self._texts: dict[str, Texts] = {}
        for entry in criteria.walk():
            path = tuple(criteria.dimension(key).name for key in entry.path[:-1])
            self._texts[entry.node.key] = _texts(entry.node)
            if isinstance(entry.node, Dimension):
                named = _findable(entry.node, path)
                self._nodes.append((entry.node.key, named.hay()))
                continue
            for found, hay in _sides(entry, entry.node, path):
                self._nodes.append((found.key, hay))
                if not entry.retired:
                    self._attributes.append((found, hay))

    def attributes(self, text: str, *, limit: int | None = None) -> list[FoundAttribute]:
        """Attributes in use, best first, those that fit equally well in tree order.

        Every word of the text has to start a word of the name, the names above it, or the definition.
        An empty text finds nothing.
        """
        query = read_query(text)
        if not query:
            return []
        ranked = [
            (place, found)
            for found, hay in self._attributes
            if (place := rank(query, hay)) is not None
        ]
        ranked.sort(key=lambda pair: pair[0])
        return [found for _, found in ranked[:limit]]

    def nodes(self, text: str) -> list[FoundNode]:
        """Dimensions and pairs in tree order, retired ones included, that fit by words of their own.

        What lies below a dimension that fits is not found for that alone: the dimension is.
        """
        query = read_query(text)
        found: dict[str, Where] = {}
        if query:
            for key, hay in self._nodes:
                where = _own(query, hay)
                if where == "name" or (where and key not in found):
                    found[key] = where
        return [
            FoundNode(key, where, _marks(query, self._texts[key], where))
            for key, where in found.items()
        ]


def _sides(entry: Entry, pair: Pair, path: tuple[str, ...]) -> Iterator[tuple[FoundAttribute, Hay]]:
    for polarity in POLARITIES:
        side = pair.attribute(polarity)
        found = FoundAttribute(entry.node.key, polarity, side.name, side.definition, path)
        yield found, _findable(side, path).hay()


def _texts(node: Dimension | Pair) -> Texts:
    if isinstance(node, Dimension):
        return {"name": node.name, "definition": node.definition}
    return {
        f"{polarity}_{field}": getattr(node.attribute(polarity), field)
        for polarity in POLARITIES
        for field in ("name", "definition")
    }


def _marks(query: Query, texts: Texts, where: Where) -> Marks:
    """Definitions are marked where only they hold the words: where a name does, they are not shown."""
    found = {
        field: find_marks(query, text)
        for field, text in texts.items()
        if where == "definition" or field.endswith("name")
    }
    return {field: marks for field, marks in found.items() if marks}


def _findable(named: Dimension | Attribute, path: tuple[str, ...]) -> Findable:
    """By its name in every language and its other names; then by what is said of it."""
    words = named.words
    names = [named.name, *words.alternatives, *(each.name for each in words.translations)]
    texts = [named.definition, *(each.definition for each in words.translations)]
    if isinstance(named, Attribute):
        texts.append(named.prompt)
    texts.append(words.scope_note)
    return Findable(tuple(filter(None, names)), path, tuple(filter(None, texts)))


def _own(query: Query, hay: Hay) -> Where | None:
    if rank(query, hay) is None:
        return None
    if query.name_start in hay.names or any(holds(hay.names, each) for each in query.tokens):
        return "name"
    return "definition" if any(holds(hay.texts, each) for each in query.tokens) else None

"""Criteria as SKOS: which statements say what, whatever notation they are written in.

Dimensions and attributes are concepts, an attribute below its pair's dimension. A pair is a collection
of its two attributes: SKOS has no relation that means “one of these two”, and a concept for the pair would
stand between the dimension and what people look for. What SKOS has no word for stands in `MORELLI`.
"""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from taxonomy.formats.details import written_side
from taxonomy.tree import POLARITIES, Attribute, Criteria, Dimension, Entry, Pair, Side, Words

PREFIXES = {
    "skos": "http://www.w3.org/2004/02/skos/core#",
    "dct": "http://purl.org/dc/terms/",
    "owl": "http://www.w3.org/2002/07/owl#",
    "m": "urn:morelli:terms:",
    "c": "urn:morelli:criteria:",
    "content": "urn:morelli:content:",
    "style": "urn:morelli:style:",
}
SCHEME = "c:.scheme"
LEFT_OUT = (
    "the order of several values of one field (alternative names, links, needed content)",
    "a translation into the language of the criteria themselves",
)


class Text(NamedTuple):
    """A literal, with its language where it is in one."""

    text: str
    language: str = ""


class Name(NamedTuple):
    """Something of ours or of a known vocabulary, by its prefixed name."""

    name: str

    @property
    def iri(self) -> str:
        """The whole name."""
        prefix, _, local = self.name.partition(":")
        return PREFIXES[prefix] + local


class Link(NamedTuple):
    """Something elsewhere, by its IRI."""

    iri: str


Value: TypeAlias = Text | Name | Link | int | bool
Statements: TypeAlias = list[tuple[str, list[Value]]]


class Subject(NamedTuple):
    """Everything that is said of one thing, in the order in which people read it."""

    name: str
    kinds: tuple[str, ...]
    statements: Statements


def node_name(key: str) -> str:
    """How a dimension or pair is named."""
    return f"c:{key}"


def side_name(side: Side) -> str:
    """How an attribute is named: a dot is in no key."""
    return f"c:{side.key}.{side.polarity}"


def to_subjects(criteria: Criteria) -> Iterator[Subject]:
    """The criteria and everything in them, in tree order."""
    yield _scheme(criteria)
    for content in criteria.content:
        texts = _texts(criteria, content.name, content.definition, Words())
        said: Statements = [("skos:notation", [Text(content.id)]), *texts]
        yield _subject(f"content:{content.id}", ("m:Content",), said)
    for style in criteria.styles:
        texts = _texts(criteria, style.name, "", Words(alternatives=style.alternatives))
        said = [("skos:notation", [Text(style.id)]), *texts]
        yield _subject(f"style:{style.id}", ("m:Style",), said)
    positions: dict[tuple[str, ...], int] = {}
    for entry in criteria.walk():
        position = _next_position(positions, entry)
        if isinstance(entry.node, Dimension):
            yield _dimension(criteria, entry, entry.node, position)
        else:
            yield _pair(criteria, entry, entry.node, position)
            for polarity in POLARITIES:
                yield _attribute(criteria, entry, Side(entry.node.key, polarity))
    yield from _replaced(criteria)


def _subject(name: str, kinds: tuple[str, ...], statements: Statements) -> Subject:
    return Subject(name, kinds, [each for each in statements if each[1]])


def _scheme(criteria: Criteria) -> Subject:
    roots: list[Value] = [Name(node_name(each.key)) for each in criteria.dimensions]
    return _subject(
        SCHEME,
        ("skos:ConceptScheme",),
        [
            ("dct:title", _text(criteria.name, criteria.language)),
            ("dct:language", [Text(criteria.language)]),
            ("m:maxLevels", [criteria.max_levels]),
            ("skos:hasTopConcept", roots),
        ],
    )


def _dimension(criteria: Criteria, entry: Entry, dimension: Dimension, position: int) -> Subject:
    return _subject(
        node_name(dimension.key),
        ("skos:Concept", "m:Dimension"),
        [
            ("skos:notation", [Text(dimension.key)]),
            *_texts(criteria, dimension.name, dimension.definition, dimension.words),
            *_place(entry),
            ("skos:inScheme", [Name(SCHEME)]),
            ("m:exclusive", [True] if dimension.exclusive else []),
            ("m:needs", _plain(dimension.needs)),
            *_standing(criteria, entry.node, position),
        ],
    )


def _pair(criteria: Criteria, entry: Entry, pair: Pair, position: int) -> Subject:
    positive, negative = (Name(side_name(Side(pair.key, each))) for each in POLARITIES)
    assert entry.parent is not None
    return _subject(
        node_name(pair.key),
        ("skos:Collection", "m:Pair"),
        [
            ("skos:notation", [Text(pair.key)]),
            ("skos:member", [positive, negative]),
            ("m:positive", [positive]),
            ("m:negative", [negative]),
            ("m:relation", [Text(pair.relation)]),
            ("m:below", [Name(node_name(entry.parent.key))]),
            ("skos:scopeNote", _text(pair.scope_note, criteria.language)),
            ("dct:source", _text(pair.source, "")),
            ("m:needs", _plain(pair.needs)),
            *_standing(criteria, entry.node, position),
        ],
    )


def _attribute(criteria: Criteria, entry: Entry, side: Side) -> Subject:
    assert isinstance(entry.node, Pair) and entry.parent is not None
    attribute: Attribute = entry.node.attribute(side.polarity)
    return _subject(
        side_name(side),
        ("skos:Concept", "m:Attribute"),
        [
            ("skos:notation", [Text(written_side(side))]),
            *_texts(criteria, attribute.name, attribute.definition, attribute.words),
            ("skos:broader", [Name(node_name(entry.parent.key))]),
            ("skos:inScheme", [Name(SCHEME)]),
            ("m:prompt", _text(attribute.prompt, "")),
            ("m:reading", _plain(f"{style} {reads}" for style, reads in attribute.styles)),
            ("m:excludes", [Name(side_name(each)) for each in sorted(attribute.excludes)]),
        ],
    )


def _replaced(criteria: Criteria) -> Iterator[Subject]:
    """What is no longer in the tree, and what took its place."""
    for key in sorted(criteria.successors):
        if criteria.find(key) is None:
            statements: Statements = [
                ("skos:notation", [Text(key)]),
                ("owl:deprecated", [True]),
                ("dct:isReplacedBy", _successors(criteria, key)),
            ]
            yield _subject(node_name(key), ("m:Replaced",), statements)


def _successors(criteria: Criteria, key: str) -> list[Value]:
    return [Name(node_name(each)) for each in sorted(criteria.successors.get(key, ()))]


def _place(entry: Entry) -> Statements:
    if entry.parent is None:
        return [("skos:topConceptOf", [Name(SCHEME)])]
    return [("skos:broader", [Name(node_name(entry.parent.key))])]


def _next_position(positions: dict[tuple[str, ...], int], entry: Entry) -> int:
    """Its place among its siblings of the same kind, counted from 1."""
    siblings = (*entry.path[:-1], type(entry.node).__name__)
    positions[siblings] = positions.get(siblings, 0) + 1
    return positions[siblings]


def _standing(criteria: Criteria, node: Dimension | Pair, position: int) -> Statements:
    return [
        ("m:position", [position]),
        ("owl:deprecated", [True] if node.retired else []),
        ("dct:isReplacedBy", _successors(criteria, node.key)),
    ]


def _texts(criteria: Criteria, name: str, definition: str, words: Words) -> Statements:
    language = criteria.language
    others = [each for each in words.translations if each.language.lower() != language.lower()]
    names = _text(name, language)
    names += [Text(each.name, each.language) for each in others if each.name]
    definitions = _text(definition, language)
    definitions += [Text(each.definition, each.language) for each in others if each.definition]
    return [
        ("skos:prefLabel", names),
        ("skos:altLabel", [Text(each, language) for each in sorted(words.alternatives)]),
        ("skos:definition", definitions),
        ("skos:scopeNote", _text(words.scope_note, language)),
        ("dct:source", _text(words.source, "")),
        ("skos:exactMatch", [Link(each) for each in sorted(words.exact_match)]),
        ("skos:closeMatch", [Link(each) for each in sorted(words.close_match)]),
    ]


def _text(text: str, language: str) -> list[Value]:
    return [Text(text, language)] if text else []


def _plain(texts: Iterator[str] | tuple[str, ...]) -> list[Value]:
    return [Text(each) for each in sorted(texts)]

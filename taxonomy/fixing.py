"""Faults of the criteria that have one way to be put right, which a program can go."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from taxonomy.names import squeeze, tidy_name
from taxonomy.tree import POLARITIES, Attribute, Criteria, Dimension, Node, Pair, Words
from taxonomy.vocabulary_checks import OWN, valueless_exclusions

Fix = Callable[[Criteria, Any], Node]


def fix(criteria: Criteria, code: str, key: str) -> Criteria | None:
    """The criteria with the faults of this code put right at a node; None where that has no one way."""
    node = _fixed(criteria, code, key)
    return replace(criteria, dimensions=_with(criteria.dimensions, node)) if node else None


def can_fix(criteria: Criteria, code: str, key: str) -> bool:
    """Whether a fault has one way to be put right."""
    return _fixed(criteria, code, key) is not None


def _fixed(criteria: Criteria, code: str, key: str) -> Node | None:
    entry = criteria.find(key)
    if entry is None or code not in FIXES:
        return None
    node = FIXES[code](criteria, entry.node)
    return node if node != entry.node else None


def _with(dimensions: tuple[Dimension, ...], node: Node) -> tuple[Dimension, ...]:
    return tuple(
        node if isinstance(node, Dimension) and each.key == node.key else _inside(each, node)
        for each in dimensions
    )


def _inside(dimension: Dimension, node: Node) -> Dimension:
    pairs = dimension.pairs
    if isinstance(node, Pair):
        pairs = tuple(node if each.key == node.key else each for each in pairs)
    return replace(dimension, dimensions=_with(dimension.dimensions, node), pairs=pairs)


def _worded(node: Node, change: Callable[[Words], Words]) -> Node:
    """The node with its words changed, or those of both sides."""
    if isinstance(node, Dimension):
        return replace(node, words=change(node.words))
    positive, negative = (
        replace(each, words=change(each.words)) for each in (node.positive, node.negative)
    )
    return replace(node, positive=positive, negative=negative)


def _tidied(_: Criteria, node: Node) -> Node:
    def words(said: Words) -> Words:
        translations = tuple(each._replace(name=_tidy(each.name)) for each in said.translations)
        alternatives = tuple(dict.fromkeys(map(_tidy, said.alternatives)))
        return replace(said, translations=translations, alternatives=alternatives)

    if isinstance(node, Dimension):
        return _worded(replace(node, name=_tidy(node.name)), words)
    sides: list[Attribute] = [
        replace(each, name=_tidy(each.name)) for each in (node.positive, node.negative)
    ]
    return _worded(replace(node, positive=sides[0], negative=sides[1]), words)


def _tidy(name: str) -> str:
    try:
        return tidy_name(name)
    except ValueError:
        return name


def _without_names_of_others(criteria: Criteria, node: Node) -> Node:
    names = {squeeze(name).casefold() for name in _names(criteria, type(node))}

    def words(said: Words) -> Words:
        kept = (each for each in said.alternatives if squeeze(each).casefold() not in names)
        return replace(said, alternatives=tuple(kept))

    return _worded(node, words)


def _names(criteria: Criteria, kind: type[Node]) -> list[str]:
    nodes = [entry.node for entry in criteria.walk() if isinstance(entry.node, kind)]
    named = [each.name for each in nodes if isinstance(each, Dimension)]
    pairs = [each for each in nodes if isinstance(each, Pair)]
    return named + [each.attribute(side).name for each in pairs for side in POLARITIES]


def _once_linked(_: Criteria, node: Node) -> Node:
    def words(said: Words) -> Words:
        kept = (each for each in said.close_match if each not in said.exact_match)
        return replace(said, close_match=tuple(kept))

    return _worded(node, words)


def _linked_elsewhere(_: Criteria, node: Node) -> Node:
    def elsewhere(links: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(each for each in links if not each.startswith(OWN))

    def words(said: Words) -> Words:
        return replace(
            said,
            exact_match=elsewhere(said.exact_match),
            close_match=elsewhere(said.close_match),
        )

    return _worded(node, words)


def _without_valueless(criteria: Criteria, node: Node) -> Node:
    if isinstance(node, Dimension):
        return node
    said = {side for side, _ in valueless_exclusions(criteria, criteria.entry(node.key))}
    kept = tuple(each for each in node.positive.excludes if each not in said)
    return replace(node, positive=replace(node.positive, excludes=kept))


def _not_exclusive(_: Criteria, node: Node) -> Node:
    return replace(node, exclusive=False) if isinstance(node, Dimension) else node


def _retired(_: Criteria, node: Node) -> Node:
    return replace(node, retired=True)


FIXES: Mapping[str, Fix] = {
    "alternative-clash": _without_names_of_others,
    "exclusive-single": _not_exclusive,
    "mapping-clash": _once_linked,
    "own-link": _linked_elsewhere,
    "replaced-in-use": _retired,
    "untidy-name": _tidied,
    "valueless-exclusion": _without_valueless,
}
# What the button of each says.
LABELS: Mapping[str, str] = {
    "alternative-clash": "Take the alternative name out",
    "exclusive-single": "Make it not exclusive",
    "mapping-clash": "Keep the exact match",
    "own-link": "Take the link out",
    "replaced-in-use": "Retire it",
    "untidy-name": "Tidy the name",
    "valueless-exclusion": "Take the exclusion out",
}

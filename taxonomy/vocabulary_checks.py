"""Checks of the criteria as a vocabulary that others link to and read in other languages.

`QSKOS` says for each quality issue of qSKOS (github.com/cmader/qSKOS, wiki, Quality Issues) which codes tell
of it here, or why nothing has to.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from taxonomy.problems import Problem, problem, upper
from taxonomy.tree import POLARITIES, Criteria, Dimension, Entry, Pair, Side, Words

OWN = "urn:morelli:"
_WEB = ("http://", "https://")
_REFUSED = "No file is read that has it."
_NO_TREE = "A tree whose nodes each stand in one place cannot have it."
_NOT_HERE = "Criteria have no such relation."
_ONLINE = "It takes a connection to the web, which nothing here makes unasked."

QSKOS: Mapping[str, tuple[str, ...] | str] = {
    # Labels and documentation
    "Omitted or Invalid Language Tags": _REFUSED,
    "Incomplete Language Coverage": ("incomplete-language",),
    "No Common Language": "All names are in the language of the criteria.",
    "Undocumented Concepts": ("missing-definition", "flaw-undefined"),
    "Overlapping Labels": ("duplicate-name", "similar-name", "prompt-clash", "translation-clash"),
    "Missing Labels": ("missing-name", "missing-positive", "missing-negative"),
    "Unprintable Characters in Labels": ("bad-name", "untidy-name"),
    "Empty Labels": ("missing-name", "missing-positive", "missing-negative"),
    "Ambiguous Notation References": ("duplicate-key",),
    # Structure
    "Orphan Concepts": ("no-attributes",),
    "Disconnected Concept Clusters": _NO_TREE,
    "Cyclic Hierarchical Relations": _REFUSED,
    "Valueless Associative Relations": ("valueless-exclusion",),
    "Solely Transitively Related Concepts": _NOT_HERE,
    "Unidirectionally Related Concepts": "An exclusion said at one attribute counts for both.",
    "Omitted Top Concepts": _NO_TREE,
    "Top Concepts Having Broader Concepts": _NO_TREE,
    "Hierarchical Redundancy": _REFUSED,
    "Reflexively Related Concepts": ("bad-exclusion",),
    "Mapping Relations Misuse": ("own-link",),
    # Linked data
    "Missing In-Links": _ONLINE,
    "Missing Out-Links": "Links to other vocabularies are welcome and not asked for.",
    "Broken Links": _ONLINE,
    "Undefined SKOS Resources": "SKOS is written by the program.",
    "HTTP URI Scheme Violation": ("no-web-address",),
    # Consistency
    "Relation Clashes": ("bad-exclusion", "valueless-exclusion"),
    "Mapping Clashes": ("mapping-clash",),
    "Inconsistent Preferred Labels": ("own-language",),
    "Disjoint Labels Violation": ("alternative-clash",),
}


class _Place(NamedTuple):
    key: str
    words: Words
    title: str


def vocabulary_problems(criteria: Criteria, active: Sequence[Entry]) -> Iterator[Problem]:
    """Every doubt about languages, links and exclusions."""
    places = [place for entry in active for place in _places(entry)]
    yield from _languages(criteria, places)
    yield from _links(places)
    for entry in active:
        yield from _valueless(criteria, entry)


def _places(entry: Entry) -> Iterator[_Place]:
    node = entry.node
    if isinstance(node, Dimension):
        yield _Place(node.key, node.words, f"the dimension {node.key}")
        return
    for polarity in POLARITIES:
        words = node.attribute(polarity).words
        yield _Place(node.key, words, f"the {polarity} side of {node.key}")


def _languages(criteria: Criteria, places: Sequence[_Place]) -> Iterator[Problem]:
    named: dict[str, set[str]] = defaultdict(set)
    for place in places:
        for each in place.words.translations:
            if each.language.casefold() == criteria.language.casefold():
                message = (
                    f"{upper(place.title)} has a translation into {each.language}, the language of the "
                    "criteria themselves; put it into name and definition."
                )
                yield problem("own-language", place.key, message)
            elif each.name:
                named[each.language].add(place.title)
    for language, titles in sorted(named.items()):
        missing = [place for place in places if place.title not in titles]
        # A translation that was only begun is no fault yet.
        if missing and len(titles) > len(missing):
            others = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            message = (
                f"{upper(missing[0].title)}{others} has no name in {language}, which most others have; "
                "translate it."
            )
            yield problem("incomplete-language", missing[0].key, message)


def _links(places: Sequence[_Place]) -> Iterator[Problem]:
    same: dict[str, _Place] = {}
    for place in places:
        for link in (*place.words.exact_match, *place.words.close_match):
            if link.startswith(OWN):
                message = (
                    f"{upper(place.title)} links to {link}, a node of criteria; link elsewhere."
                )
                yield problem("own-link", place.key, message)
            elif not link.lower().startswith(_WEB):
                message = (
                    f"{upper(place.title)}: {link} is no web address, so nobody can follow it."
                )
                yield problem("no-web-address", place.key, message)
        for link in place.words.exact_match:
            other = same.setdefault(link, place)
            if other is not place:
                message = (
                    f"{upper(place.title)} and {other.title} are both the same as {link}; one of them "
                    "is close to it at most."
                )
                yield problem("mapping-clash", place.key, message)
            if link in place.words.close_match:
                message = f"{upper(place.title)} is the same as {link} and close to it; keep one."
                yield problem("mapping-clash", place.key, message)


def _valueless(criteria: Criteria, entry: Entry) -> Iterator[Problem]:
    for side, key in valueless_exclusions(criteria, entry):
        message = (
            f"The positive side of {entry.node.key} excludes {side.key}/positive, which the exclusive "
            f"dimension {key} says already; take it out."
        )
        yield problem("valueless-exclusion", entry.node.key, message)


def valueless_exclusions(criteria: Criteria, entry: Entry) -> Iterator[tuple[Side, str]]:
    """Exclusions of a pair's positive side that an exclusive dimension above both says already, with its key."""
    excludes = entry.node.positive.excludes if isinstance(entry.node, Pair) else ()
    for side in excludes:
        other = criteria.find(side.key)
        if other is None or side.polarity != "positive" or side.key == entry.node.key:
            continue
        for key in entry.path[:-1]:
            if key in other.path[:-1] and criteria.dimension(key).exclusive:
                yield side, key

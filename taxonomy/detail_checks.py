"""Checks of what nodes say beside names and definitions."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from taxonomy.names import squeeze, tidy_name
from taxonomy.problems import Problem, problem, upper
from taxonomy.tree import POLARITIES, Criteria, Dimension, Entry, Pair, Words


class _Place(NamedTuple):
    """A dimension or attribute with its words, and how to speak of it."""

    key: str
    kind: str
    name: str
    words: Words
    title: str


def detail_problems(criteria: Criteria, active: list[Entry]) -> Iterator[Problem]:
    """Every fault of the other words, the applicability and the exclusions."""
    places = [place for entry in active for place in _places(entry)]
    yield from _wordings(places)
    yield from _same_translations(places)
    yield from _same_alternatives(places)
    yield from _unknown_content(criteria, active)
    for entry in active:
        if isinstance(entry.node, Pair):
            yield from _unknown_styles(criteria, entry.node)
            yield from _exclusions(criteria, entry.node)


def _places(entry: Entry) -> Iterator[_Place]:
    node = entry.node
    if isinstance(node, Dimension):
        yield _Place(node.key, "dimension", node.name, node.words, f"the dimension {node.key}")
        return
    for polarity in POLARITIES:
        side = node.attribute(polarity)
        title = f"the {polarity} side of {node.key}"
        yield _Place(node.key, "attribute", side.name, side.words, title)


def _wordings(places: Iterable[_Place]) -> Iterator[Problem]:
    for place in places:
        named = [(f"its name in {each.language}", each.name) for each in place.words.translations]
        named += [("an alternative name", name) for name in place.words.alternatives]
        for what, name in named:
            try:
                tidy = tidy_name(name) if name else ""
            except ValueError as error:
                yield problem("bad-name", place.key, f"{upper(place.title)}, {what}: {error}")
                continue
            if tidy != name:
                message = f"{upper(place.title)}: {what} has stray white space; retype it."
                yield problem("untidy-name", place.key, message)


def _same_translations(places: Iterable[_Place]) -> Iterator[Problem]:
    first: dict[tuple[str, str], _Place] = {}
    for place in places:
        # Dimensions may share a name, as “Contrast” of light and of color do.
        if place.kind != "attribute":
            continue
        for each in place.words.translations:
            name = squeeze(each.name)
            if not name:
                continue
            other = first.setdefault((each.language.casefold(), name.casefold()), place)
            if other is not place:
                message = (
                    f"“{name}” ({each.language}) names {place.title} and also {other.title}; "
                    "readers of that language cannot tell them apart, translate one otherwise."
                )
                yield problem("translation-clash", place.key, message)


def _same_alternatives(places: list[_Place]) -> Iterator[Problem]:
    names = {(place.kind, squeeze(place.name).casefold()): place for place in places}
    for place in places:
        for name in place.words.alternatives:
            other = names.get((place.kind, squeeze(name).casefold()))
            if other is None:
                continue
            whose = "is its own name" if other is place else f"is the name of {other.title}"
            message = (
                f"The alternative name “{squeeze(name)}” of {place.title} {whose}; take it out."
            )
            yield problem("alternative-clash", place.key, message)


def _unknown_content(criteria: Criteria, active: list[Entry]) -> Iterator[Problem]:
    known = {each.id for each in criteria.content}
    for entry in active:
        for needed in entry.node.needs:
            if needed not in known:
                message = (
                    f"{entry.node.key} needs the content “{needed}”, which the criteria do not list; "
                    "add it to their content or take it out here."
                )
                yield problem("unknown-content", entry.node.key, message)


def _unknown_styles(criteria: Criteria, pair: Pair) -> Iterator[Problem]:
    known = {each.id for each in criteria.styles}
    for polarity in POLARITIES:
        for style, _ in pair.attribute(polarity).styles:
            if style not in known:
                message = (
                    f"The {polarity} side of {pair.key} names the style “{style}”, which the criteria "
                    "do not list; add it to their styles or take it out here."
                )
                yield problem("unknown-style", pair.key, message)


def _exclusions(criteria: Criteria, pair: Pair) -> Iterator[Problem]:
    for polarity in POLARITIES:
        attribute = pair.attribute(polarity)
        for side in attribute.excludes:
            what = f"The {polarity} side of {pair.key} excludes {side.key}/{side.polarity}"
            stands = criteria.resolve(side.key)
            found = criteria.find(stands[0]) if stands else None
            if side.key == pair.key:
                message = (
                    f"{what}, its own pair; what its two sides are to each other says the relation."
                )
                yield problem("bad-exclusion", pair.key, message)
            elif found is None or not isinstance(found.node, Pair):
                message = f"{what}, but no pair has that key; correct it or take it out."
                yield problem("bad-exclusion", pair.key, message)

"""Which attributes cannot all hold of one image: the one place that decides it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from taxonomy.tree import POLARITIES, Criteria, Dimension, Entry, Pair, Polarity, Side

Held: TypeAlias = tuple[str, Polarity]
ContradictionKind: TypeAlias = Literal["opposed", "flaw", "exclusive", "excluded"]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Labels that cannot all hold. `kind` is `opposed`, `flaw`, `exclusive` or
    `excluded`.

    `attributes` are the (pair key, polarity)s that stand against one another, in tree order.
    """

    kind: ContradictionKind
    attributes: tuple[Held, ...]
    message: str


def contradictions(
    held: Collection[tuple[str, str]], criteria: Criteria
) -> tuple[Contradiction, ...]:
    """The contradictions among the attributes (pair key, polarity) of one image, in tree order.

    Only pairs in use count. Both attributes of an opposed pair; a flaw without the positive attribute
    that it qualifies; two positive attributes below an exclusive dimension, however deep; an attribute
    and one of another branch that either of them excludes. The sides of a graded pair stand together.
    """
    return criteria.derived(Rules).among(held) if held else ()


@dataclass(frozen=True, slots=True)
class Weight:
    """What an attribute adds to a rule where it holds of an image: a rule is broken, by one contradiction, where
    this sums up to `BROKEN`. So a database can count them that knows no tree.
    """

    rule: str
    key: str
    polarity: Polarity
    weight: int


BROKEN = 2


class Rules:
    """What cannot hold together in one tree, looked up once, so that many images can be asked."""

    def __init__(self, criteria: Criteria) -> None:
        self._pairs: dict[str, tuple[int, Pair]] = {}
        self._exclusive: dict[str, list[tuple[int, int]]] = {}
        self._dimensions: dict[int, Dimension] = {}
        entries = list(criteria.walk())
        for place, entry in enumerate(entries):
            if entry.retired:
                continue
            if isinstance(entry.node, Pair):
                self._pairs[entry.node.key] = (place, entry.node)
            elif entry.node.exclusive:
                self._dimensions[place] = entry.node
                for order, pair in enumerate(_pairs_below(entry.node)):
                    self._exclusive.setdefault(pair.key, []).append((place, order))
        self._excluded = _excluded(criteria, entries, self._pairs)

    def among(self, held: Collection[tuple[str, str]]) -> tuple[Contradiction, ...]:
        """The contradictions among the attributes of one image, in tree order."""
        found: list[tuple[int, Contradiction]] = []
        exclusive: dict[int, list[tuple[int, str]]] = {}
        for key, polarity in held:
            for other in self._excluded.get((key, polarity), ()):
                if other in held:
                    found.append(self._between(Side(key, cast(Polarity, polarity)), other))
            if polarity == "positive":
                for place, order in self._exclusive.get(key, ()):
                    exclusive.setdefault(place, []).append((order, key))
            # Both kinds of contradiction within a pair have its negative attribute in them.
            elif key in self._pairs:
                place, pair = self._pairs[key]
                found += [(place, each) for each in _within_pair(pair, held)]
        for place, several in exclusive.items():
            if len(several) > 1:
                keys = [key for _, key in sorted(several)]
                found.append((place, self._within(self._dimensions[place], keys)))
        return tuple(each for _, each in sorted(found, key=lambda one: one[0]))

    def weights(self) -> Iterator[Weight]:
        """The same rules as weights: as many are broken by the attributes of an image as `among` finds contradictions."""
        for _, pair in self._pairs.values():
            if pair.relation == "opposed":
                for polarity in POLARITIES:
                    yield Weight(f"opposed {pair.key}", pair.key, polarity, 1)
            elif pair.relation == "flaw":
                # The positive attribute, which it qualifies, takes back what the flaw breaks by itself.
                yield Weight(f"flaw {pair.key}", pair.key, "negative", BROKEN)
                yield Weight(f"flaw {pair.key}", pair.key, "positive", -BROKEN)
        for key, places in self._exclusive.items():
            for place, _ in places:
                yield Weight(f"exclusive {self._dimensions[place].key}", key, "positive", 1)
        for first, others in self._excluded.items():
            for other in others:
                rule = f"excluded {first[0]}/{first[1]} {other.key}/{other.polarity}"
                yield Weight(rule, first[0], cast(Polarity, first[1]), 1)
                yield Weight(rule, other.key, other.polarity, 1)

    def _between(self, first: Side, second: Side) -> tuple[int, Contradiction]:
        place, pair = self._pairs[first.key]
        _, other = self._pairs[second.key]
        names = pair.attribute(first.polarity).name, other.attribute(second.polarity).name
        message = f"“{names[0]}” and “{names[1]}” exclude each other."
        return place, Contradiction("excluded", (first, second), message)

    def _within(self, dimension: Dimension, keys: list[str]) -> Contradiction:
        names = ", ".join(f"“{self._pairs[key][1].positive.name}”" for key in keys)
        return Contradiction(
            "exclusive",
            tuple((key, "positive") for key in keys),
            f"Only one positive attribute of {dimension.name} can hold: {names}.",
        )


def _standing(criteria: Criteria, sides: Iterable[Side]) -> Iterator[Side]:
    """What the named attributes are by now: what was excluded still is under another key."""
    for side in sides:
        for key in criteria.resolve(side.key):
            yield Side(key, side.polarity)


def _excluded(
    criteria: Criteria, entries: list[Entry], in_use: Mapping[str, tuple[int, Pair]]
) -> dict[tuple[str, str], list[Side]]:
    """The attributes that exclude each other, by the one that comes first in the tree."""
    found: dict[tuple[str, str], list[Side]] = {}
    for entry in entries:
        for polarity in POLARITIES if entry.node.key in in_use else ():
            if not isinstance(entry.node, Pair):
                continue
            for other in _standing(criteria, entry.node.attribute(polarity).excludes):
                if other.key not in in_use or other.key == entry.node.key:
                    continue
                side = Side(entry.node.key, polarity)
                first, second = sorted((side, other), key=lambda one: in_use[one.key][0])
                later = found.setdefault(first, [])
                if second not in later:
                    later.append(second)
    return found


def _within_pair(pair: Pair, held: Collection[tuple[str, str]]) -> list[Contradiction]:
    positive, negative = (pair.key, "positive") in held, (pair.key, "negative") in held
    if pair.relation == "opposed" and positive and negative:
        return [
            Contradiction(
                "opposed",
                ((pair.key, "positive"), (pair.key, "negative")),
                f"“{pair.positive.name}” and “{pair.negative.name}” cannot both hold.",
            )
        ]
    if pair.relation == "flaw" and negative and not positive:
        return [
            Contradiction(
                "flaw",
                ((pair.key, "negative"),),
                f"“{pair.negative.name}” is a flaw of “{pair.positive.name}”, which is not set.",
            )
        ]
    return []


def _pairs_below(dimension: Dimension) -> Iterator[Pair]:
    for each in dimension.dimensions:
        if not each.retired:
            yield from _pairs_below(each)
    yield from (pair for pair in dimension.pairs if not pair.retired)

"""Which attributes cannot all hold of one image: the one place that decides it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from taxonomy.tree import Criteria, Dimension, Pair, Polarity

Held: TypeAlias = tuple[str, Polarity]
ContradictionKind: TypeAlias = Literal["opposed", "flaw", "exclusive"]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Labels that cannot all hold. `kind` is `opposed`, `flaw` or `exclusive`.

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
    that it qualifies; two positive attributes below an exclusive dimension, however deep.
    """
    return Rules(criteria).among(held) if held else ()


class Rules:
    """What cannot hold together in one tree, looked up once, so that many images can be asked."""

    def __init__(self, criteria: Criteria) -> None:
        self._pairs: dict[str, tuple[int, Pair]] = {}
        self._exclusive: dict[str, list[tuple[int, Dimension]]] = {}
        for place, entry in enumerate(criteria.walk()):
            if entry.retired:
                continue
            if isinstance(entry.node, Pair):
                self._pairs[entry.node.key] = (place, entry.node)
            elif entry.node.exclusive:
                for pair in _pairs_below(entry.node):
                    self._exclusive.setdefault(pair.key, []).append((place, entry.node))

    def among(self, held: Collection[tuple[str, str]]) -> tuple[Contradiction, ...]:
        """The contradictions among the attributes of one image, in tree order."""
        found: list[tuple[int, Contradiction]] = []
        seen: dict[int, Dimension] = {}
        twice: dict[int, Dimension] = {}
        for key, polarity in held:
            if polarity == "positive":
                for place, dimension in self._exclusive.get(key, ()):
                    (twice if place in seen else seen)[place] = dimension
            # Both kinds of contradiction within a pair have its negative attribute in them.
            elif key in self._pairs:
                place, pair = self._pairs[key]
                found += [(place, each) for each in _within_pair(pair, held)]
        for place, dimension in twice.items():
            found += [(place, each) for each in _within_exclusive(dimension, held)]
        return tuple(each for _, each in sorted(found, key=lambda one: one[0]))


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


def _within_exclusive(
    dimension: Dimension, held: Collection[tuple[str, str]]
) -> list[Contradiction]:
    both = [pair for pair in _pairs_below(dimension) if (pair.key, "positive") in held]
    if len(both) < 2:
        return []
    names = ", ".join(f"“{pair.positive.name}”" for pair in both)
    return [
        Contradiction(
            "exclusive",
            tuple((pair.key, "positive") for pair in both),
            f"Only one positive attribute of {dimension.name} can hold: {names}.",
        )
    ]


def _pairs_below(dimension: Dimension) -> Iterator[Pair]:
    for each in dimension.dimensions:
        if not each.retired:
            yield from _pairs_below(each)
    yield from (pair for pair in dimension.pairs if not pair.retired)

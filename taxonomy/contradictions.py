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
    if not held:
        return ()
    found: list[Contradiction] = []
    for entry in criteria.walk():
        if entry.retired:
            continue
        if isinstance(entry.node, Pair):
            found += _within_pair(entry.node, held)
        elif entry.node.exclusive:
            found += _within_exclusive(entry.node, held)
    return tuple(found)


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

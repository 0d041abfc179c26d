"""How the arcs of a drawing of the criteria are coloured: by usage, share of negatives, or agent accuracy."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.versions.counting import LabelCounts
from taxonomy.tree import POLARITIES, Criteria, Dimension, Node, Polarity, Side

ColouredBy: TypeAlias = Literal["usage", "negatives", "accuracy"]
Sides: TypeAlias = Mapping[Side, tuple[int, int]]

SHARES = (0.2, 0.4, 0.6, 0.8)
ACCURACIES = (0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Shade:
    """The colour of one arc: its step, 0 for the palest of five, None where there is nothing to tell."""

    step: int | None
    said: str


# Of a part and a whole.
_Shading: TypeAlias = Callable[[int, int], Shade]


@dataclass(frozen=True, slots=True)
class Coloured:
    """The shades by key and polarity (None for a dimension), and what each step stands for."""

    shades: Mapping[tuple[str, Polarity | None], Shade]
    legend: tuple[str, ...]
    nothing: str
    rests_on: str


def by_usage(criteria: Criteria, counts: Mapping[str, LabelCounts]) -> Coloured:
    """Labels that hold or may hold, of a dimension the mean of its attributes, on a logarithmic scale."""
    sides = {
        Side(key, polarity): (getattr(found, polarity), 1)
        for key, found in counts.items()
        for polarity in POLARITIES
    }
    sides |= {
        Side(pair.key, polarity): (0, 1)
        for pair in criteria.pairs()
        for polarity in POLARITIES
        if Side(pair.key, polarity) not in sides
    }
    most = max((number for number, _ in sides.values()), default=0)
    bounds = tuple(sorted({round(most ** (step / 5)) for step in (1, 2, 3, 4)} - {0, most}))

    def shade(part: int, whole: int) -> Shade:
        mean = part / whole
        said = _many(part, "label") + (f", {mean:.1f} an attribute" if whole > 1 else "")
        return Shade(_step(mean, bounds) if part else None, said)

    edges = [0, *bounds, most]
    legend = tuple(_numbers(low + 1, high) for low, high in itertools.pairwise(edges) if high)
    total = sum(number for number, _ in sides.values())
    return Coloured(_shades(criteria, sides, shade), legend, "no label", _many(total, "label"))


def by_negatives(criteria: Criteria, counts: Mapping[str, LabelCounts]) -> Coloured:
    """The share of negative labels among those that hold or may hold."""
    sides = {
        Side(key, polarity): (found.negative, found.standing)
        for key, found in counts.items()
        for polarity in POLARITIES
        if found.standing
    }

    def shade(part: int, whole: int) -> Shade:
        if not whole:
            return Shade(None, "no label")
        return Shade(_step(part / whole, SHARES), f"{part} of {whole} labels are negative")

    # Each pair stands twice in `sides`, once for each of its arcs.
    total = sum(whole for _, whole in sides.values()) // 2
    halved = _shades(criteria, sides, shade, twice=True)
    return Coloured(halved, _percents(SHARES), "no label", _many(total, "label"))


def by_accuracy(criteria: Criteria, verdicts: Sides) -> Coloured:
    """How often participants found what the agent had labelled."""

    def shade(part: int, whole: int) -> Shade:
        if not whole:
            return Shade(None, "no verdict yet")
        return Shade(_step(part / whole, ACCURACIES), f"found in {part} of {whole} verdicts")

    total = sum(whole for _, whole in verdicts.values())
    shades = _shades(criteria, verdicts, shade)
    return Coloured(shades, _percents(ACCURACIES), "no verdict", _many(total, "verdict"))


def _shades(
    criteria: Criteria, sides: Sides, shade: _Shading, *, twice: bool = False
) -> dict[tuple[str, Polarity | None], Shade]:
    found: dict[tuple[str, Polarity | None], Shade] = {}

    def add(node: Node) -> tuple[int, int]:
        if isinstance(node, Dimension):
            below: tuple[Node, ...] = (*node.dimensions, *node.pairs)
            part, whole = _sum([add(each) for each in below if not each.retired])
            found[node.key, None] = shade(part, whole) if whole else Shade(None, "nothing below it")
            return part, whole
        of = [sides.get(Side(node.key, polarity), (0, 0)) for polarity in POLARITIES]
        for polarity, numbers in zip(POLARITIES, of, strict=True):
            found[node.key, polarity] = shade(*numbers)
        return of[0] if twice else _sum(of)

    for root in criteria.dimensions:
        add(root)
    return found


def _sum(parts: list[tuple[int, int]]) -> tuple[int, int]:
    return sum(part for part, _ in parts), sum(whole for _, whole in parts)


def _step(value: float, bounds: tuple[float, ...]) -> int:
    return sum(value > bound for bound in bounds)


def _numbers(low: int, high: int) -> str:
    return f"{low}" if high <= low else f"{low} to {high}"


def _percents(bounds: tuple[float, ...]) -> tuple[str, ...]:
    edges = [0, *(round(100 * each) for each in bounds), 100]
    return tuple(f"{low} to {high} %" for low, high in itertools.pairwise(edges))


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' if number != 1 else ''}"

"""Where each node of the criteria lies in a sunburst: rings of arcs around a middle, every pair as wide as any other.

The outermost two rings are the pairs' positive and negative attributes, wherever their dimension ends. Pure
geometry and text fitting: angles in degrees clockwise from the top, lengths in the unit of the drawing.
"""

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace

from taxonomy.tree import POLARITIES, Criteria, Dimension, Node, Pair, Polarity

MIDDLE = 62.0
RING = 84.0
LEAF = 116.0
LARGEST, SMALLEST = 13.0, 4.5
LINE = 1.18
# A letter's width as a share of the font's size; that of one that fills its square is 1.
LETTER = 0.54
MARGIN = 6.0


@dataclass(frozen=True, slots=True)
class Lettering:
    """Text in an arc: its lines, its size, where its middle is, and how far it is turned."""

    lines: tuple[str, ...]
    size: float
    x: float
    y: float
    turned: float


@dataclass(frozen=True, slots=True)
class Arc:
    """One node, or one side of a pair, as a piece of a ring. `path` is SVG path data."""

    key: str
    polarity: Polarity | None
    name: str
    path: str
    lettering: Lettering | None


@dataclass(frozen=True, slots=True)
class Sunburst:
    """The arcs in tree order, and the radius of the whole."""

    arcs: tuple[Arc, ...]
    radius: float


@dataclass(frozen=True, slots=True)
class _Place:
    node: Node
    depth: int
    start: float
    end: float


def sunburst(criteria: Criteria, at: Dimension | None = None) -> Sunburst:
    """Lay out the whole tree, or what is below one dimension. Retired nodes are left out."""
    live = tuple(each for each in criteria.dimensions if not each.retired)
    roots = _live_below(at) if at else live
    places = list(_places(roots, 0, 0.0, 360.0))
    depth = max((each.depth + 1 for each in places if isinstance(each.node, Dimension)), default=0)
    leaves = MIDDLE + depth * RING
    arcs = tuple(arc for each in places for arc in _arcs(each, leaves))
    return Sunburst(arcs, leaves + len(POLARITIES) * LEAF)


def _places(nodes: tuple[Node, ...], depth: int, start: float, end: float) -> Iterator[_Place]:
    weights = [_weight(each) for each in nodes]
    total = sum(weights)
    for node, weight in zip(nodes, weights, strict=True):
        stop = start + (end - start) * weight / total
        total -= weight
        yield _Place(node, depth, start, stop)
        if isinstance(node, Dimension):
            yield from _places(_live_below(node), depth + 1, start, stop)
        start = stop


def _weight(node: Node) -> int:
    if isinstance(node, Pair):
        return 1
    # A dimension without pairs is drawn as well: it is what somebody is about to fill.
    return sum(map(_weight, _live_below(node))) or 1


def _live_below(node: Dimension) -> tuple[Node, ...]:
    below: tuple[Node, ...] = (*node.dimensions, *node.pairs)
    return tuple(each for each in below if not each.retired)


def _arcs(place: _Place, leaves: float) -> Iterator[Arc]:
    node, start, end = place.node, place.start, place.end
    if isinstance(node, Dimension):
        inner = MIDDLE + place.depth * RING
        yield _arc(node.key, None, node.name, (inner, inner + RING), (start, end))
        return
    for number, polarity in enumerate(POLARITIES):
        inner = leaves + number * LEAF
        name = node.attribute(polarity).name
        yield _arc(node.key, polarity, name, (inner, inner + LEAF), (start, end))


def _arc(
    key: str,
    polarity: Polarity | None,
    name: str,
    radii: tuple[float, float],
    angles: tuple[float, float],
) -> Arc:
    return Arc(key, polarity, name, _path(radii, angles), _lettering(name, radii, angles))


def _point(radius: float, angle: float) -> tuple[float, float]:
    turn = math.radians(angle)
    return radius * math.sin(turn), -radius * math.cos(turn)


def _path(radii: tuple[float, float], angles: tuple[float, float]) -> str:
    (inner, outer), (start, end) = radii, angles
    if end - start > 359.999:
        # An arc from a point to itself is none: two halves.
        half = (start + end) / 2
        return _path(radii, (start, half)) + " " + _path(radii, (half, end))
    large = int(end - start > 180)

    def at(radius: float, angle: float) -> str:
        x, y = _point(radius, angle)
        return f"{x:.2f} {y:.2f}"

    return (
        f"M{at(outer, start)} A{outer:g} {outer:g} 0 {large} 1 {at(outer, end)} "
        f"L{at(inner, end)} A{inner:g} {inner:g} 0 {large} 0 {at(inner, start)} Z"
    )


# Text --------------------------------------------------------------------------------------------


def _lettering(
    name: str, radii: tuple[float, float], angles: tuple[float, float]
) -> Lettering | None:
    """The largest text that fits: along the ring, or from the middle outwards."""
    (inner, outer), (start, end) = radii, angles
    angle, radius = (start + end) / 2, (inner + outer) / 2
    deep = outer - inner - MARGIN
    spread = min(end - start, 150.0)
    chord = 2 * inner * math.sin(math.radians(spread / 2)) - MARGIN
    arc = math.radians(end - start) * inner
    x, y = _point(radius, angle)
    along = _fitted(name, chord, deep)
    outwards = _fitted(name, deep, arc - 1)
    if along and (outwards is None or along.size >= outwards.size):
        turned = angle if angle <= 90 or angle >= 270 else angle - 180
        return replace(along, x=x, y=y, turned=turned)
    if outwards:
        turned = angle - 90 if angle <= 180 else angle - 270
        return replace(outwards, x=x, y=y, turned=turned)
    return None


def _fitted(text: str, width: float, height: float) -> Lettering | None:
    size = LARGEST
    while size >= SMALLEST:
        lines = _broken(text, width / size)
        if lines and len(lines) * LINE * size <= height:
            return Lettering(lines, round(size, 1), 0.0, 0.0, 0.0)
        size -= 0.5
    return None


def _broken(text: str, most: float) -> tuple[str, ...]:
    """The text in lines of at most that many ems; nothing where a word is longer."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and _ems(longer) <= most:
            lines[-1] = longer
        elif _ems(word) <= most:
            lines.append(word)
        else:
            return ()
    return tuple(lines)


def _ems(text: str) -> float:
    return sum(1.0 if unicodedata.east_asian_width(each) in "WF" else LETTER for each in text)

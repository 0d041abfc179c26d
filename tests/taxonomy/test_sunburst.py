"""The geometry of a drawing of the criteria: every pair has its place, and text stays in its arc."""

import math
import re

import pytest

from taxonomy.shipped import painting_criteria
from taxonomy.sunburst import LEAF, LINE, MIDDLE, RING, Arc, sunburst
from taxonomy.tree import Attribute, Criteria, Dimension, Pair

PAINTING = painting_criteria()


def angles(arc: Arc) -> tuple[float, float]:
    """Where an arc starts and ends, read from its path: degrees clockwise from the top."""
    numbers = [float(each) for each in re.findall(r"-?\d+(?:\.\d+)?", arc.path)]
    start, end = numbers[0:2], numbers[7:9]
    return tuple(math.degrees(math.atan2(x, -y)) % 360 for x, y in (start, end))  # type: ignore[return-value]


def test_every_node_in_use_has_an_arc_and_every_pair_has_two() -> None:
    arcs = sunburst(PAINTING).arcs
    live = [each for each in PAINTING.walk() if not each.retired]
    pairs = {each.node.key for each in live if isinstance(each.node, Pair)}
    assert {each.key for each in arcs} == {each.node.key for each in live}
    assert {(each.key, each.polarity) for each in arcs if each.polarity} == {
        (key, polarity) for key in pairs for polarity in ("positive", "negative")
    }


def test_pairs_are_equally_wide_and_go_round_once() -> None:
    leaves = [each for each in sunburst(PAINTING).arcs if each.polarity == "positive"]
    widths = [(end - start) % 360 for start, end in map(angles, leaves)]
    assert sum(widths) == pytest.approx(360, abs=0.5)
    assert max(widths) - min(widths) < 0.02
    starts = [angles(each)[0] for each in leaves]
    assert starts[1:] == sorted(starts[1:]), "in tree order, clockwise"


def test_text_fits_its_arc() -> None:
    for at in (None, *PAINTING.dimensions):
        for arc in sunburst(PAINTING, at).arcs:
            if arc.lettering is None:
                continue
            assert " ".join(arc.lettering.lines) == " ".join(arc.name.split())
            high = len(arc.lettering.lines) * arc.lettering.size * LINE
            assert high <= max(RING, LEAF)
            assert -90.01 <= arc.lettering.turned <= 90.01 or arc.lettering.turned > 269.99, (
                "readable"
            )


def test_below_one_dimension_it_fills_the_circle_again() -> None:
    brushwork = PAINTING.dimensions[0]
    drawn = sunburst(PAINTING, brushwork)
    assert {each.key for each in drawn.arcs}.isdisjoint({brushwork.key, PAINTING.dimensions[1].key})
    assert drawn.radius < sunburst(PAINTING).radius
    assert all(each.lettering for each in drawn.arcs), "where there is room, everything is named"


def test_a_retired_branch_and_an_empty_tree_are_not_drawn() -> None:
    pair = Pair("a", "opposed", Attribute("A"), Attribute("B"))
    kept = Dimension("kept", "Kept", pairs=(pair,))
    gone = Dimension(
        "gone", "Gone", pairs=(Pair("b", "opposed", Attribute("C"), Attribute("D")),), retired=True
    )
    arcs = sunburst(Criteria("Small", dimensions=(kept, gone))).arcs
    assert [(each.key, each.polarity) for each in arcs] == [
        ("kept", None), ("a", "positive"), ("a", "negative"),
    ]  # fmt: skip
    # One arc that goes all the way round is two halves.
    assert arcs[0].path.count("Z") == 2
    assert sunburst(Criteria("Empty")).arcs == ()
    assert sunburst(Criteria("Empty")).radius == MIDDLE + 2 * LEAF

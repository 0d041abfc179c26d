"""Which attributes cannot hold together."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.contradictions import BROKEN, Rules, contradictions
from taxonomy.tree import POLARITIES, Attribute, Criteria, Dimension, Pair, Side
from tests.taxonomy.strategies import criteria_trees


def pair(key: str, relation: str = "opposed") -> Pair:
    positive, negative = Attribute(f"Good {key}"), Attribute(f"Bad {key}")
    return Pair(key, relation, positive, negative)  # type: ignore[arg-type]


INNER = Dimension(key="inner", name="Inner", pairs=(pair("deep"), pair("deeper", "flaw")))
ONE_OF = Dimension("one-of", "One of", exclusive=True, dimensions=(INNER,), pairs=(pair("near"),))
TREE = Criteria(
    "Test",
    dimensions=(ONE_OF, Dimension("free", "Free", pairs=(pair("open"), pair("some", "graded")))),
)


@pytest.mark.parametrize(
    ("held", "kinds"),
    [
        ("+near", []),
        ("+near +open", []),
        ("+near +deep", ["exclusive"]),
        ("+deep +deeper", ["exclusive"]),
        ("+near +deep +deeper", ["exclusive"]),
        ("-near -deep", []),
        ("+open -open", ["opposed"]),
        ("-deeper", ["flaw"]),
        ("+deeper -deeper", []),
        ("+some -some", []),
        ("+near +deep -deep -deeper", ["exclusive", "opposed", "flaw"]),
        ("", []),
    ],
)
def test_what_cannot_hold_together(held: str, kinds: list[str]) -> None:
    polarity = {"+": "positive", "-": "negative"}
    named = {(each[1:], polarity[each[0]]) for each in held.split()}
    assert [each.kind for each in contradictions(named, TREE)] == kinds


def test_retired_branches_do_not_count() -> None:
    retired = replace(ONE_OF, dimensions=(replace(INNER, retired=True),))
    tree = replace(TREE, dimensions=(retired, *TREE.dimensions[1:]))
    held = {("near", "positive"), ("deep", "positive"), ("deep", "negative")}
    assert contradictions(held, tree) == ()


def test_attributes_of_other_branches_exclude_each_other_from_either_side() -> None:
    """Said at one of the two, at both, or of one that is retired."""
    near = Attribute("Good near", excludes=(Side("open", "negative"), Side("gone", "positive")))
    open_ = Attribute("Bad open", excludes=(Side("near", "positive"),))
    first = Dimension(
        "first", "First", pairs=(Pair("near", "graded", near, Attribute("Bad near")),)
    )
    second = Dimension("second", "Second", pairs=(replace(pair("open"), negative=open_),))
    gone = Dimension("third", "Third", retired=True, pairs=(pair("gone"),))
    held = {("near", "positive"), ("near", "negative"), ("open", "negative"), ("gone", "positive")}
    for tree in (
        Criteria("Test", dimensions=(first, second, gone)),
        Criteria("Test", dimensions=(second, first, gone)),
        Criteria("Test", dimensions=(first, replace(second, pairs=(pair("open"),)), gone)),
    ):
        (found,) = contradictions(held, tree)
        assert found.kind == "excluded"
        assert set(found.attributes) == {("near", "positive"), ("open", "negative")}
        assert "exclude each other." in found.message
        assert contradictions(held - {("open", "negative")}, tree) == ()


@given(st.data())
def test_weights_break_as_many_rules_as_there_are_contradictions(data: Any) -> None:
    tree = data.draw(criteria_trees())
    sides = [(pair.key, polarity) for pair in tree.pairs() for polarity in POLARITIES]
    held = set(data.draw(st.lists(st.sampled_from(sides), unique=True))) if sides else set()
    weights = list(Rules(tree).weights())
    assert len({(each.rule, each.key, each.polarity) for each in weights}) == len(weights)
    sums: Counter[str] = Counter()
    for each in weights:
        if (each.key, each.polarity) in held:
            sums[each.rule] += each.weight
    broken = sum(weight >= BROKEN for weight in sums.values())
    assert broken == len(contradictions(held, tree))

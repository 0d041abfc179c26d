"""What has to be looked for again after a change of the criteria, and the tree with that alone."""

from dataclasses import replace

import pytest

from taxonomy.asking_again import TouchedPair, only_pairs, touched_pairs
from taxonomy.tree import Attribute, Criteria, Dimension, ImageContent, Pair


def pair(key: str, **more: object) -> Pair:
    named = (Attribute(f"{key} well"), Attribute(f"{key} badly"))
    return replace(Pair(key, "opposed", *named), **more)  # type: ignore[arg-type]


def tree(*pairs: Pair, **more: object) -> Criteria:
    """Two roots: light, whose one sub-dimension holds the pairs, and form with a pair of its own."""
    content = (ImageContent("hands", "Hands"), ImageContent("horizon", "Horizon"))
    inner = Dimension("glow", "Glow", pairs=pairs)
    roots = (
        Dimension("light", "Light", dimensions=(inner,)),
        Dimension("form", "Form", pairs=(pair("edge"),)),
    )
    return replace(Criteria("T", dimensions=roots, content=content), **more)  # type: ignore[arg-type]


OLD = tree(pair("a"), pair("b"), pair("old", retired=True), pair("hand", needs=("hands",)))
HAND = pair("hand", needs=("hands",))


@pytest.mark.parametrize(
    ("new", "found"),
    [
        (OLD, []),
        (tree(pair("a"), pair("b"), HAND, pair("c")), [TouchedPair("c", "new")]),
        (tree(pair("a"), pair("b"), pair("old"), HAND), [TouchedPair("old", "restored")]),
        # Needs less: the content that it does not need any more is told.
        (
            tree(pair("a"), pair("b"), pair("hand", needs=("horizon",))),
            [TouchedPair("hand", "requirement", ("hands",))],
        ),
        # Needs more: who looked before looked everywhere.
        (tree(pair("a", needs=("hands",)), pair("b"), HAND), []),
        (
            tree(pair("b"), HAND, pair("c"), pair("d"), successors={"a": ("c", "d")}),
            [TouchedPair("c", "split"), TouchedPair("d", "split")],
        ),
        (
            tree(pair("b"), HAND, pair("c"), successors={"a": ("c",)}),
            [TouchedPair("c", "redefined")],
        ),
        # Merged: its labels went along.
        (tree(HAND, pair("c"), successors={"a": ("c",), "b": ("c",)}), []),
        (tree(pair("b"), HAND, successors={"a": ("b",)}), []),
        # Renamed and rewritten, it says what it said.
        (tree(pair("a", positive=Attribute("Other words", "More.")), pair("b"), HAND), []),
        (tree(pair("a", retired=True), pair("b"), HAND), []),
        (
            tree(
                pair("a", positive=Attribute("b well")),
                pair("b", positive=Attribute("a well")),
                HAND,
            ),
            [TouchedPair("a", "words"), TouchedPair("b", "words")],
        ),
    ],
)
def test_finds_the_pairs_that_were_not_looked_for(new: Criteria, found: list[TouchedPair]) -> None:
    assert list(touched_pairs(OLD, new)) == found


def test_a_requirement_further_up_counts() -> None:
    light, form = OLD.dimensions
    old = replace(OLD, dimensions=(replace(light, needs=("horizon",)), form))
    touched = touched_pairs(old, OLD)
    assert {each.key for each in touched} == {"a", "b", "hand"}
    assert {each.needed for each in touched} == {("horizon",)}


def test_a_split_followed_through_several_steps() -> None:
    steps = {"a": ("c", "x"), "x": ("d", "e")}
    new = tree(pair("b"), HAND, pair("c"), pair("d"), pair("e"), successors=steps)
    assert [(each.key, each.why) for each in touched_pairs(OLD, new)] == [
        ("c", "split"),
        ("d", "split"),
        ("e", "split"),
    ]


def test_only_some_pairs_leave_the_dimensions_that_they_stand_in() -> None:
    some = only_pairs(OLD, {"a"})
    assert [each.node.key for each in some.walk()] == ["light", "glow", "a"]
    assert some.content == OLD.content
    assert [each.node.key for each in only_pairs(OLD, ()).walk()] == []

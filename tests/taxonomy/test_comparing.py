"""Versions side by side: which nodes, what they said, and which words changed."""

from dataclasses import replace

from hypothesis import given

from taxonomy.changes import difference
from taxonomy.comparing import Piece, compare
from taxonomy.tree import Attribute, Criteria, Dimension, Pair
from tests.taxonomy.strategies import criteria_trees

HARD = Pair(
    "hard-light",
    "opposed",
    Attribute("Hard light", "Shadows have sharp rims."),
    Attribute("Soft light", "Shadows fade."),
)
LIGHT = Dimension("light", "Light", "Where it comes from.", pairs=(HARD,))
OLD = Criteria("Painting", dimensions=(LIGHT,))


def test_the_words_that_changed_are_told_from_those_that_did_not() -> None:
    other = replace(HARD, positive=Attribute("Hard light", "Shadows have very sharp rims."))
    found = compare(OLD, Criteria("Painting", dimensions=(replace(LIGHT, pairs=(other,)),)))
    (node,) = found.nodes
    assert node.title_before == node.title_after == "Hard light / Soft light"
    assert node.path_before == ("Light",)
    (field,) = node.fields
    assert field.name == "positive definition"
    assert "".join(each.text for each in field.before) == "Shadows have sharp rims."
    assert not any(each.changed for each in field.before), "nothing was taken away"
    assert Piece("very ", True) in field.after
    assert found.numbers == {"described": 1}


def test_what_is_new_or_gone_stands_on_one_side_only() -> None:
    other = Pair("warm-light", "flaw", Attribute("Warm light"), Attribute("Jaundiced light"))
    new = Criteria("Painting", dimensions=(replace(LIGHT, pairs=(other,)),))
    added, gone = sorted(compare(OLD, new).nodes[-2:], key=lambda each: each.key, reverse=True)
    assert (added.key, added.title_before, added.title_after) == (
        "warm-light", None, "Warm light / Jaundiced light",
    )  # fmt: skip
    assert (gone.key, gone.title_after, gone.path_before) == ("hard-light", None, ("Light",))


def test_chinese_is_compared_letter_by_letter() -> None:
    def named(name: str) -> Criteria:
        return Criteria("画", dimensions=(Dimension("d", name),))

    (node,) = compare(named("光线质量"), named("光影质量")).nodes
    (field,) = node.fields
    assert field.after == (Piece("光", False), Piece("影", True), Piece("质量", False))


def test_a_move_is_told_by_the_two_paths() -> None:
    new = Criteria(
        "Painting", dimensions=(replace(LIGHT, pairs=()), Dimension("edge", "Edges", pairs=(HARD,)))
    )
    moved = next(each for each in compare(OLD, new).nodes if each.key == HARD.key)
    assert (moved.path_before, moved.path_after) == (("Light",), ("Edges",))
    assert moved.kinds == ("moved",)


@given(criteria_trees(), criteria_trees())
def test_nothing_that_differs_is_left_out_and_no_word_is_lost(old: Criteria, new: Criteria) -> None:
    found = compare(old, new)
    changes = difference(old, new)
    assert [each.key for each in found.nodes] == list(dict.fromkeys(each.key for each in changes))
    assert sum(found.numbers.values()) == len(changes)
    for node in found.nodes:
        for field in node.fields:
            was, now = ("".join(each.text for each in side) for side in (field.before, field.after))
            assert was != now

"""Putting a file in the place of a tree."""

from dataclasses import replace

import pytest
from hypothesis import given

from taxonomy.changes import difference
from taxonomy.replacing import put_in_place
from taxonomy.tree import Attribute, Criteria, Dimension, InvalidCriteria, Pair
from tests.taxonomy.strategies import change_node, criteria_trees
from tests.taxonomy.trees import small_tree


def keys_of(criteria: Criteria) -> set[str]:
    return {entry.node.key for entry in criteria.walk()}


@given(criteria_trees())
def test_the_same_tree_changes_nothing(criteria: Criteria) -> None:
    plain = replace(criteria, successors={})
    assert put_in_place(plain, plain) == plain


@given(criteria_trees(), criteria_trees())
def test_nothing_is_lost_and_what_is_missing_is_retired(old: Criteria, new: Criteria) -> None:
    try:
        result = put_in_place(old, new)
    except InvalidCriteria:
        return
    assert keys_of(result) == keys_of(old) | keys_of(new)
    assert len(list(result.walk())) == len(keys_of(result))
    assert all(result.entry(key).retired for key in keys_of(old) - keys_of(new))
    assert put_in_place(result, result) == result
    assert keys_of(put_in_place(result, new)) == keys_of(result)


def test_what_is_retired_stays_where_it_stood() -> None:
    old = small_tree()
    gone = change_node(old, "circular", lambda _: None)
    result = put_in_place(old, gone)
    assert [each.key for each in result.dimension("geometry").pairs] == ["circular", "radial"]
    assert [each.kind for each in difference(old, result)] == ["retired"]


def test_what_the_file_names_successors_of_makes_room_for_them() -> None:
    old = small_tree()
    gone = change_node(old, "lost-edges", lambda _: None)
    new = replace(gone, successors={"lost-edges": ("clear-edges",)})
    result = put_in_place(old, new)
    assert result.find("lost-edges") is None
    assert result.resolve("lost-edges") == ("clear-edges",)


def test_children_of_a_dimension_that_was_replaced_stay_below_its_successor() -> None:
    old = small_tree()
    gone = change_node(old, "geometry", lambda _: None)
    new = replace(gone, successors={"geometry": ("composition",)})
    result = put_in_place(old, new)
    assert result.path_of("circular") == ("composition", "circular")
    assert result.pair("circular").retired


def test_a_key_does_not_change_its_kind() -> None:
    pair = Pair("edges", "flaw", Attribute("A"), Attribute("B"))
    new = Criteria("New", dimensions=(Dimension("composition", "C", pairs=(pair,)),))
    with pytest.raises(InvalidCriteria, match="edges is that of a dimension here and of a pair"):
        put_in_place(small_tree(), new)

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.prompt import (
    POLARITY_MARKERS,
    SEPARATOR,
    TEMPLATE_ID,
    Style,
    conditions,
    wordings_of,
)
from taxonomy.tree import POLARITIES, Criteria, Polarity
from tests.taxonomy.strategies import change_node, criteria_trees
from tests.taxonomy.trees import small_tree

words = st.text("abcdefgh ", min_size=1).map(str.strip).filter(bool)


def test_writes_the_condition_texts_of_the_paper() -> None:
    texts = conditions("a harbor at dusk", ["Clear edges", "Warm light"], ["Ambiguous center"])
    assert texts.content == "a harbor at dusk"
    assert texts.positive == "a harbor at dusk, Clear edges, Warm light"
    assert texts.negative == "Ambiguous center"
    assert texts.all == "a harbor at dusk, Clear edges, Warm light, Ambiguous center"
    assert texts.null == ""
    assert TEMPLATE_ID == "comma-list/1"


def test_empty_parts_leave_no_comma() -> None:
    assert conditions("", ["Clear edges"], []).all == "Clear edges"
    assert conditions(" a lake \n", [], []).all == "a lake"
    assert conditions("a lake", [], []).negative == ""


@given(words, st.lists(words), st.lists(words))
def test_every_word_stands_where_its_polarity_belongs(
    prompt: str, positive: list[str], negative: list[str]
) -> None:
    texts = conditions(prompt, positive, negative)
    assert texts.positive.split(SEPARATOR) == [prompt, *positive]
    assert texts.negative == SEPARATOR.join(negative)
    assert texts.all.split(SEPARATOR) == [prompt, *positive, *negative]


def test_polarity_may_be_marked_before_each_list() -> None:
    marked = Style(polarity_markers=True)
    texts = conditions("a harbor", ["Clear edges", "Warm light"], ["Ambiguous center"], marked)
    assert texts.content == "a harbor"
    assert texts.positive == "a harbor, positive: Clear edges, Warm light"
    assert texts.negative == "negative: Ambiguous center"
    assert texts.all == "a harbor, positive: Clear edges, Warm light, negative: Ambiguous center"
    assert texts.null == ""
    assert conditions("", [], ["Ambiguous center"], marked).all == "negative: Ambiguous center"
    bare = conditions("a harbor", [], [], marked)
    assert (bare.positive, bare.negative, bare.all) == ("a harbor", "", "a harbor")


@given(words, st.lists(words), st.lists(words))
def test_without_its_markers_a_marked_text_is_the_plain_one(
    prompt: str, positive: list[str], negative: list[str]
) -> None:
    marked = conditions(prompt, positive, negative, Style(polarity_markers=True)).all
    for marker in POLARITY_MARKERS.values():
        marked = marked.replace(f"{marker} ", "")
    assert marked == conditions(prompt, positive, negative).all


def test_names_come_in_tree_order() -> None:
    chosen: list[tuple[str, Polarity]] = [
        ("clear-edges", "negative"),
        ("clear-edges", "positive"),
        ("balance", "positive"),
        ("circular", "negative"),
        ("circular", "positive"),
        ("circular", "positive"),
    ]
    assert wordings_of(small_tree(), chosen) == [
        "Circular composition",
        "Circle closed on itself",
        "Visual equilibrium",
        "Clear edges",
        "Blurred edges",
    ]


def test_a_prompt_wording_stands_in_place_of_the_name() -> None:
    criteria = change_node(
        small_tree(),
        "balance",
        lambda p: replace(p, negative=replace(p.negative, prompt="all at left")),
    )
    chosen: list[tuple[str, Polarity]] = [("balance", "positive"), ("balance", "negative")]
    assert wordings_of(criteria, chosen) == ["Visual equilibrium", "all at left"]


def test_leaves_retired_pairs_out() -> None:
    criteria = change_node(small_tree(), "geometry", lambda node: replace(node, retired=True))
    chosen: list[tuple[str, Polarity]] = [("radial", "positive"), ("balance", "negative")]
    assert wordings_of(criteria, chosen) == ["Lopsided masses"]


def test_refuses_what_names_no_attribute() -> None:
    with pytest.raises(KeyError, match="geometry"):
        wordings_of(small_tree(), [("geometry", "positive")])


@given(st.data(), criteria_trees())
def test_keeps_tree_order_whatever_the_order_asked_in(data: st.DataObject, tree: Criteria) -> None:
    every = [(pair.key, polarity) for pair in tree.pairs() for polarity in POLARITIES]
    chosen = data.draw(st.lists(st.sampled_from(every)) if every else st.just([]))
    found = wordings_of(tree, chosen)
    asked = [
        pair.attribute(polarity).prompt_wording
        for pair in tree.active_pairs()
        for polarity in POLARITIES
        if (pair.key, polarity) in chosen
    ]
    assert found == wordings_of(tree, reversed(chosen)) == asked

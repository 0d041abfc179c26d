from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from taxonomy.changes import difference
from taxonomy.tree import (
    POLARITIES,
    Attribute,
    Criteria,
    Dimension,
    ImageContent,
    Pair,
    Side,
    StyleReading,
    Translation,
    Words,
)
from tests.taxonomy.strategies import change_node, criteria_trees, texts
from tests.taxonomy.trees import pair, small_tree

Expected = tuple[str, str]


def seen(old: Criteria, new: Criteria) -> list[Expected]:
    return [(change.kind, change.key) for change in difference(old, new)]


@given(criteria_trees())
def test_a_tree_does_not_differ_from_itself(criteria: Criteria) -> None:
    assert difference(criteria, replace(criteria)) == []


@given(criteria_trees(), criteria_trees())
def test_no_changes_means_the_same_tree(old: Criteria, new: Criteria) -> None:
    assert (difference(old, new) == []) == (old == new)
    assert difference(old, new) == difference(old, new)


def rename(data: st.DataObject, tree: Criteria, key: str) -> tuple[Criteria, list[Expected]]:
    node, text = tree.entry(key).node, data.draw(texts)
    if isinstance(node, Dimension):
        assume(text != node.name)
        return change_node(tree, key, lambda d: replace(d, name=text)), [("renamed", key)]
    side = data.draw(st.sampled_from(POLARITIES))
    assume(text != node.attribute(side).name)
    named = replace(node.attribute(side), name=text)
    return change_node(tree, key, lambda p: replace(p, **{side: named})), [("renamed", key)]


def describe(data: st.DataObject, tree: Criteria, key: str) -> tuple[Criteria, list[Expected]]:
    node, text = tree.entry(key).node, data.draw(texts)
    if isinstance(node, Dimension):
        assume(text != node.definition)
        return change_node(tree, key, lambda d: replace(d, definition=text)), [("described", key)]
    side = data.draw(st.sampled_from(POLARITIES))
    assume(text != node.attribute(side).definition)
    told = replace(node.attribute(side), definition=text)
    return change_node(tree, key, lambda p: replace(p, **{side: told})), [("described", key)]


def flag(data: st.DataObject, tree: Criteria, key: str) -> tuple[Criteria, list[Expected]]:
    node = tree.entry(key).node
    if data.draw(st.booleans()):
        kind = "restored" if node.retired else "retired"
        changed = change_node(tree, key, lambda n: replace(n, retired=not n.retired))
        return changed, [(kind, key)]
    if isinstance(node, Dimension):
        changed = change_node(tree, key, lambda n: replace(n, exclusive=not n.exclusive))
        return changed, [("exclusive-changed", key)]
    other = "flaw" if node.relation == "opposed" else "opposed"
    changed = change_node(tree, key, lambda n: replace(n, relation=other))
    return changed, [("relation-changed", key)]


def remove(data: st.DataObject, tree: Criteria, key: str) -> tuple[Criteria, list[Expected]]:
    del data
    gone = [entry.node.key for entry in tree.walk() if key in entry.path]
    return change_node(tree, key, lambda _: None), [("removed", each) for each in gone]


def add(data: st.DataObject, tree: Criteria, key: str) -> tuple[Criteria, list[Expected]]:
    where = data.draw(st.integers(0, 2))
    node = tree.entry(key).node
    assume(isinstance(node, Dimension))

    def insert(parent: Dimension) -> Dimension:
        pairs = list(parent.pairs)
        pairs.insert(where, pair("brand-new", "New", "Old"))
        return replace(parent, pairs=tuple(pairs))

    return change_node(tree, key, insert), [("added", "brand-new")]


def move(data: st.DataObject, tree: Criteria, key: str) -> tuple[Criteria, list[Expected]]:
    entry = tree.entry(key)
    goals = [e.node.key for e in tree.walk() if isinstance(e.node, Dimension) and key not in e.path]
    goals = [goal for goal in goals if entry.parent is None or goal != entry.parent.key]
    assume(goals)
    goal = data.draw(st.sampled_from(goals))

    def receive(parent: Dimension) -> Dimension:
        if isinstance(entry.node, Pair):
            return replace(parent, pairs=(entry.node, *parent.pairs))
        return replace(parent, dimensions=(entry.node, *parent.dimensions))

    return change_node(change_node(tree, key, lambda _: None), goal, receive), [("moved", key)]


def reorder(data: st.DataObject, tree: Criteria, key: str) -> tuple[Criteria, list[Expected]]:
    del key
    wide = [e.node for e in tree.walk() if isinstance(e.node, Dimension) and len(e.node.pairs) > 1]
    assume(wide)
    node = data.draw(st.sampled_from(wide))
    changed = change_node(tree, node.key, lambda d: replace(d, pairs=d.pairs[::-1]))
    return changed, [("reordered", node.key)]


Edit = Callable[[st.DataObject, Criteria, str], tuple[Criteria, list[Expected]]]


@pytest.mark.parametrize("edit", [rename, describe, flag, remove, add, move, reorder])
def test_one_edit_gives_exactly_its_change(edit: Edit) -> None:
    @given(st.data(), criteria_trees())
    def check_edit(data: st.DataObject, tree: Criteria) -> None:
        keys = [entry.node.key for entry in tree.walk()]
        assume(keys)
        new, expected = edit(data, tree, data.draw(st.sampled_from(keys)))
        assert seen(tree, new) == expected

    check_edit()


def test_tells_before_and_after() -> None:
    old = small_tree()
    new = change_node(
        old, "radial", lambda p: replace(p, negative=Attribute("Center unclear", "Other."))
    )
    new = change_node(new, "geometry", lambda d: replace(d, exclusive=False))
    told = [(c.kind, c.key, c.part, c.before, c.after, c.sentence) for c in difference(old, new)]
    assert told == [
        (
            *("exclusive-changed", "geometry", "", True, False),
            "“Geometric composition” is no longer exclusive.",
        ),
        (
            *("renamed", "radial", "negative", "Ambiguous center", "Center unclear"),
            "The negative attribute “Ambiguous center” was renamed to “Center unclear”.",
        ),
        (
            *("described", "radial", "negative", "Ambiguous center.", "Other."),
            (
                "The definition of the negative side of “Radial composition / Center unclear” was "
                "rewritten."
            ),
        ),
    ]


def test_tells_where_nodes_went() -> None:
    old = small_tree()
    new = change_node(old, "edges", lambda _: None)
    new = change_node(
        new, "composition", lambda d: replace(d, pairs=(*d.pairs, old.pair("lost-edges")))
    )
    told = [(c.kind, c.key, c.before, c.after, c.sentence) for c in difference(old, new)]
    assert told == [
        (
            *("moved", "lost-edges", "edges", "composition"),
            (
                "“Lost and found contours / Cut-out contours” was moved from "
                "“Edge Relationship” to “Composition”."
            ),
        ),
        (
            *("removed", "edges", "Edge Relationship", None),
            "The dimension “Edge Relationship” was removed from the top.",
        ),
        (
            *("removed", "clear-edges", "Clear edges / Blurred edges", None),
            "The pair “Clear edges / Blurred edges” was removed from “Edge Relationship”.",
        ),
    ]


def test_tells_a_new_order_at_the_parent() -> None:
    old = small_tree()
    (change,) = difference(old, replace(old, dimensions=old.dimensions[::-1]))
    assert (change.kind, change.key, change.part) == ("reordered", "", "dimensions")
    assert change.before == ("composition", "edges")
    assert change.after == ("edges", "composition")
    assert change.sentence == (
        "The order at the top was changed to “Edge Relationship”, “Composition”."
    )


def test_tells_changes_of_the_criteria_themselves() -> None:
    old = small_tree()
    new = replace(old, name="Pictures", language="de", max_levels=6)
    assert seen(old, new) == [("renamed", ""), ("language-changed", ""), ("limit-changed", "")]


def test_a_key_that_changed_its_kind_is_removed_and_added() -> None:
    old = small_tree()
    new = change_node(old, "clear-edges", lambda _: None)
    child = Dimension("clear-edges", "Clear")
    new = change_node(new, "edges", lambda d: replace(d, dimensions=(child,)))
    assert seen(old, new) == [("added", "clear-edges"), ("removed", "clear-edges")]


def test_tells_what_else_is_said_of_nodes_and_of_the_criteria() -> None:
    old = small_tree()
    blurred = replace(
        old.pair("clear-edges").negative,
        prompt="smeared edges",
        styles=(StyleReading("impressionism", "positive"),),
        excludes=(Side("balance", "positive"),),
    )
    new = change_node(
        old, "clear-edges", lambda p: replace(p, negative=blurred, source="Ruskin 1857")
    )
    said = Words((Translation("zh-Hans", "边缘"),), ("Contours",))
    new = change_node(new, "edges", lambda d: replace(d, words=said, needs=("hands",)))
    new = replace(new, content=(ImageContent("hands", "Hands", "Both or one."),))
    assert [(c.kind, c.key, c.part, c.after) for c in difference(old, new)] == [
        ("applicability-changed", "", "content", ("hands: Hands; Both or one.",)),
        ("words-changed", "edges", "translations", ("zh-Hans: 边缘",)),
        ("words-changed", "edges", "alternatives", ("Contours",)),
        ("applicability-changed", "edges", "needs", ("hands",)),
        ("prompt-changed", "clear-edges", "negative prompt", "smeared edges"),
        ("applicability-changed", "clear-edges", "negative styles", ("impressionism: positive",)),
        ("exclusions-changed", "clear-edges", "negative excludes", ("balance/positive",)),
        ("words-changed", "clear-edges", "source", "Ruskin 1857"),
    ]
    sentences = [c.sentence for c in difference(new, old)]
    assert sentences[1] == "The names in other languages of “Edge Relationship” were removed."
    assert sentences[4] == (
        "The prompt wording of the negative side of “Clear edges / Blurred edges” was removed."
    )

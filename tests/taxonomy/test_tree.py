import pickle
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.tree import Criteria, Dimension, Pair, counts, find_cycle
from tests.taxonomy.strategies import change_node, criteria_trees
from tests.taxonomy.trees import small_tree


def test_walks_in_file_order_with_places() -> None:
    entries = list(small_tree().walk())
    assert [(entry.node.key, entry.level) for entry in entries] == [
        ("composition", 1),
        ("geometry", 2),
        ("circular", 3),
        ("radial", 3),
        ("balance", 2),
        ("edges", 1),
        ("clear-edges", 2),
        ("lost-edges", 2),
    ]
    circular = entries[2]
    assert circular.path == ("composition", "geometry", "circular")
    assert circular.root.key == "composition"
    assert circular.parent is entries[1].node
    assert entries[0].parent is None


def test_finds_nodes_by_key() -> None:
    criteria = small_tree()
    assert criteria.pair("radial").positive.name == "Radial composition"
    assert criteria.pair("radial").attribute("negative").name == "Ambiguous center"
    assert criteria.dimension("geometry").exclusive
    assert criteria.root_of("radial").key == "composition"
    assert criteria.path_of("edges") == ("edges",)
    assert criteria.find("nowhere") is None


@pytest.mark.parametrize("key", ["nowhere", "geometry"])
def test_refuses_a_key_that_is_no_pair(key: str) -> None:
    with pytest.raises(KeyError, match=key):
        small_tree().pair(key)


def test_refuses_a_key_that_is_no_dimension() -> None:
    with pytest.raises(KeyError, match="radial"):
        small_tree().dimension("radial")
    with pytest.raises(KeyError, match="nowhere"):
        small_tree().root_of("nowhere")


def test_retiring_a_dimension_retires_what_is_below() -> None:
    criteria = change_node(small_tree(), "geometry", lambda node: replace(node, retired=True))
    retired = [entry.node.key for entry in criteria.walk() if entry.retired]
    assert retired == ["geometry", "circular", "radial"]
    assert [pair.key for pair in criteria.active_pairs()] == [
        "balance",
        "clear-edges",
        "lost-edges",
    ]
    assert len(criteria.pairs()) == 5


def test_counts_what_is_in_use() -> None:
    found = counts(small_tree())
    assert (found.root_dimensions, found.dimensions, found.levels) == (2, 3, 3)
    assert found.attribute_pairs == 5
    assert found.by_root == {"composition": 3, "edges": 2}
    less = counts(change_node(small_tree(), "geometry", lambda node: replace(node, retired=True)))
    assert (less.dimensions, less.levels, less.attribute_pairs) == (2, 2, 3)


def test_counts_an_empty_tree() -> None:
    found = counts(Criteria("Nothing"))
    assert (found.root_dimensions, found.levels, found.attribute_pairs) == (0, 0, 0)


def test_cannot_be_changed_in_place() -> None:
    with pytest.raises(FrozenInstanceError):
        small_tree().name = "Other"  # type: ignore[misc]


def test_looking_a_key_up_leaves_the_tree_equal() -> None:
    searched, fresh = small_tree(), small_tree()
    searched.pair("radial")
    assert searched == fresh
    assert hash(searched) == hash(fresh)
    assert pickle.loads(pickle.dumps(searched)) == fresh
    assert replace(searched, dimensions=()).find("radial") is None


@given(criteria_trees())
def test_every_node_is_found_under_its_key(criteria: Criteria) -> None:
    for entry in criteria.walk():
        assert criteria.entry(entry.node.key) is entry
        assert entry.level == len(entry.path)
        assert criteria.path_of(entry.node.key)[-1] == entry.node.key
        assert criteria.root_of(entry.node.key) in criteria.dimensions
        children = entry.parent.dimensions + entry.parent.pairs if entry.parent else ()
        assert entry.parent is None or entry.node in children
    assert counts(criteria).attribute_pairs == len(criteria.active_pairs())
    assert all(isinstance(entry.node, Dimension | Pair) for entry in criteria.walk())


def test_finds_a_loop_of_parents() -> None:
    assert find_cycle({"a": None, "b": "a", "c": "b"}) is None
    assert find_cycle({"a": "elsewhere"}) is None
    assert find_cycle({"a": "a"}) == ("a",)
    assert find_cycle({"x": "a", "a": "b", "b": "c", "c": "a", "d": None}) == ("a", "b", "c")


@given(st.dictionaries(st.integers(0, 8), st.none() | st.integers(0, 8)))
def test_a_loop_is_found_exactly_where_one_is(parents: dict[int, int | None]) -> None:
    def climbs_forever(node: int | None) -> bool:
        for _ in range(len(parents) + 1):
            if node is None or node not in parents:
                return False
            node = parents[node]
        return True

    cycle = find_cycle(parents)
    assert (cycle is not None) == any(climbs_forever(node) for node in parents)
    if cycle is not None:
        assert [parents[node] for node in cycle] == [*cycle[1:], cycle[0]]
        assert len(set(cycle)) == len(cycle)

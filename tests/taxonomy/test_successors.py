"""What took the place of nodes that were merged, split or given another meaning."""

from dataclasses import replace

import pytest

from taxonomy.changes import difference
from taxonomy.checks import check
from taxonomy.contradictions import contradictions
from taxonomy.formats.json import read_json, sha256, write_json
from taxonomy.formats.yaml import read_yaml, write_yaml
from taxonomy.tree import Attribute, Criteria, InvalidCriteria, Side
from tests.taxonomy.strategies import change_node
from tests.taxonomy.trees import small_tree

HEAD = "format: morelli-criteria/1\nname: Test\ndimensions: []\n"


def with_successors(tree: Criteria | None = None, **keys: tuple[str, ...]) -> Criteria:
    named = {key.replace("_", "-"): value for key, value in keys.items()}
    return replace(tree or small_tree(), successors=named)


def without(key: str, tree: Criteria | None = None) -> Criteria:
    return change_node(tree or small_tree(), key, lambda _: None)


def test_keys_resolve_however_many_steps_later() -> None:
    tree = with_successors(a=("b", "lost-edges"), b=("c",), c=("clear-edges", "lost-edges"))
    assert tree.resolve("a") == ("clear-edges", "lost-edges")
    assert tree.resolve("clear-edges") == ("clear-edges",)
    assert tree.resolve("nobody") == ()
    assert with_successors(a=("b",), b=("a",)).resolve("a") == ()


def test_the_hash_covers_them_and_leaves_older_hashes_as_they_are() -> None:
    plain, tree = small_tree(), with_successors(old=("circular", "radial"))
    assert "successors" not in write_json(plain)
    assert sha256(tree) != sha256(plain)
    assert read_json(write_json(tree)) == tree == read_yaml(write_yaml(tree))
    assert "successors:\n  old: [circular, radial]\n" in write_yaml(tree)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("successors: [a]", "successors (line 4): must be a mapping of keys, not a list."),
        ("successors: {a: b}", "must be a key with a list of the keys that took its place."),
        ("successors: {A b: [c]}", "must be a key with a list"),
        ("successors: {a: []}", "must be a key with a list"),
        ("successors: {a: [b, b]}", "names a key twice, or itself."),
        ("successors: {a: [a]}", "names a key twice, or itself."),
    ],
)
def test_what_is_no_succession_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidCriteria) as caught:
        read_yaml(HEAD + text)
    assert problem in str(caught.value)


def test_differences_say_what_became_of_a_node() -> None:
    old = small_tree()
    merged = with_successors(without("lost-edges"), lost_edges=("clear-edges",))
    split = with_successors(without("lost-edges"), lost_edges=("clear-edges", "balance"))
    new = change_node(old, "lost-edges", lambda node: replace(node, key="edges-now"))
    meant = with_successors(new, lost_edges=("edges-now",))
    assert [(each.kind, each.key) for each in difference(old, merged)] == [("merged", "lost-edges")]
    assert [each.kind for each in difference(old, split)] == ["split"]
    found = difference(old, meant)
    assert [(each.kind, each.key) for each in found] == [
        ("added", "edges-now"),
        ("meaning-changed", "lost-edges"),
    ]
    assert found[1].sentence == (
        "“Lost and found contours / Cut-out contours” was given another meaning: "
        "“Lost and found contours / Cut-out contours”."
    )
    # A text that went with its labels is no exchange that anybody has to be asked about.
    assert not any(each.kind == "text-moved" for each in found)
    both = with_successors(without("lost-edges", new), lost_edges=("edges-now",))
    assert difference(meant, both) == []
    assert [each.kind for each in difference(both, with_successors(both))] == ["succession-changed"]


def test_what_was_excluded_still_is_under_another_key() -> None:
    excluding = Attribute("Visual equilibrium", "So.", excludes=(Side("lost-edges", "negative"),))
    tree = change_node(small_tree(), "balance", lambda node: replace(node, positive=excluding))
    held = {("balance", "positive"), ("clear-edges", "negative"), ("radial", "negative")}
    assert [each.kind for each in contradictions(held, tree)] == ["flaw"]
    merged = with_successors(
        without("lost-edges", tree), lost_edges=("older",), older=("clear-edges",)
    )
    assert "bad-exclusion" not in [each.code for each in check(merged)]
    assert [each.kind for each in contradictions(held, merged)] == ["flaw", "excluded"]

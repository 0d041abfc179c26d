from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from taxonomy.checks import check, has_errors
from taxonomy.problems import SEVERITIES
from taxonomy.tree import (
    Attribute,
    Criteria,
    Dimension,
    Pair,
    Side,
    StyleReading,
    Translation,
    Words,
)
from taxonomy.vocabulary_checks import QSKOS
from tests.taxonomy.strategies import change_node, criteria_trees
from tests.taxonomy.trees import pair, small_tree, telling_tree, zh


def codes(criteria: Criteria) -> list[tuple[str, str]]:
    return [(problem.code, problem.key) for problem in check(criteria)]


def with_node(key: str, **fields: object) -> Criteria:
    return change_node(small_tree(), key, lambda node: replace(node, **fields))


def with_names(positive: str, negative: str) -> Criteria:
    return change_node(small_tree(), "lost-edges", lambda _: pair("lost-edges", positive, negative))


def with_pairs(key: str, *pairs: Pair) -> Criteria:
    def extend(node: Dimension) -> Dimension:
        return replace(node, pairs=node.pairs + pairs)

    return change_node(small_tree(), key, extend)


def replaced(**successors: tuple[str, ...]) -> Criteria:
    return replace(small_tree(), successors=successors)


def with_side(key: str, **fields: Any) -> Criteria:
    """A tree that says something of everything, and that of the positive side of one pair."""
    return change_node(
        telling_tree(), key, lambda p: replace(p, positive=replace(p.positive, **fields))
    )


LINK = "https://vocab.example.org/1"


def in_language(language: str, name: str) -> Words:
    return Words((Translation(language, name),))


def linked(link: str) -> Words:
    return Words(exact_match=(link,))


def translated_but(key: str) -> Criteria:
    """The small tree with a name in another language everywhere but at the positive side of one pair."""
    tree = small_tree()
    for entry in tree.walk():
        node = entry.node
        if isinstance(node, Dimension):
            tree = change_node(tree, node.key, lambda n: replace(n, words=zh(f"维度{n.key}")))
            continue
        positive = replace(node.positive, words=zh(f"正{node.key}"))
        negative = replace(node.negative, words=zh(f"负{node.key}"))
        positive = node.positive if node.key == key else positive
        tree = change_node(
            tree,
            node.key,
            lambda n, p=positive, m=negative: replace(n, positive=p, negative=m),
        )
    return tree


def test_a_tree_that_says_more_has_no_problems() -> None:
    assert check(telling_tree()) == []


def test_prompts_that_say_the_names_of_the_other_sides_are_faults() -> None:
    def turned(pair: Pair) -> Pair:
        positive = replace(pair.positive, prompt=pair.negative.name.upper())
        return replace(
            pair, positive=positive, negative=replace(pair.negative, prompt=pair.positive.name)
        )

    problems = check(change_node(small_tree(), "clear-edges", turned))
    assert [(each.code, each.key) for each in problems] == [("prompt-clash", "clear-edges")] * 2


def test_attributes_of_one_name_may_be_told_apart_in_prompts_only() -> None:
    tree = with_side("clear-edges", prompt="crisp edges")
    named = change_node(
        tree, "lost-edges", lambda p: replace(p, negative=replace(p.negative, name="Crisp edges"))
    )
    (problem,) = check(named)
    assert (problem.code, problem.key) == ("prompt-clash", "lost-edges")
    assert "the positive side of clear-edges" in problem.message


def test_a_good_tree_has_no_problems() -> None:
    assert check(small_tree()) == []
    assert not has_errors(check(small_tree()))


PLANTED: list[tuple[str, str, Callable[[], Criteria]]] = [
    ("too-deep", "circular", lambda: replace(with_node("balance"), max_levels=2)),
    ("no-attributes", "edges", lambda: with_node("edges", pairs=())),
    ("no-attributes", "", lambda: Criteria("Empty")),
    ("missing-name", "", lambda: replace(small_tree(), name=" ")),
    ("missing-name", "edges", lambda: with_node("edges", name="")),
    ("missing-positive", "radial", lambda: with_node("radial", positive=Attribute("", "Seen."))),
    ("missing-negative", "radial", lambda: with_node("radial", negative=Attribute("", "Seen."))),
    ("missing-definition", "edges", lambda: with_node("edges", definition="\n")),
    ("missing-definition", "balance", lambda: with_node("balance", negative=Attribute("Lopsided"))),
    ("flaw-undefined", "radial", lambda: with_node("radial", negative=Attribute("Ambiguous"))),
    (
        "exclusive-single",
        "geometry",
        lambda: change_node(small_tree(), "radial", lambda _: None),
    ),
    ("duplicate-key", "radial", lambda: with_pairs("edges", pair("radial", "Bold", "Timid"))),
    ("bad-key", "Odd Key", lambda: with_pairs("edges", pair("Odd Key", "Bold", "Timid"))),
    ("duplicate-name", "lost-edges", lambda: with_names("Clear edges", "Bold")),
    ("duplicate-name", "lost-edges", lambda: with_names("Bold", "Ambiguous center")),
    ("duplicate-name", "lost-edges", lambda: with_names("Bold", "Bold")),
    ("duplicate-name", "edges", lambda: with_node("edges", name="Composition")),
    ("similar-name", "edges", lambda: with_node("edges", name="Geometric composition")),
    ("similar-name", "edges", lambda: with_node("edges", name="Compositions")),
    ("prompt-clash", "lost-edges", lambda: with_names("CLEAR edges", "Bold")),
    ("prompt-clash", "lost-edges", lambda: with_names("Warm, bright", "Bold")),
    ("prompt-clash", "lost-edges", lambda: with_names("positive:", "Bold")),
    ("prompt-clash", "lost-edges", lambda: with_names("Bold", "Negative")),
    ("prompt-clash", "lost-edges", lambda: with_names("Negative: dull", "Bold")),
    ("bad-name", "lost-edges", lambda: with_names("x" * 81, "Bold")),
    ("bad-name", "lost-edges", lambda: with_names("two\nlines", "Bold")),
    ("bad-name", "edges", lambda: with_node("edges", name="a\u200bb")),
    ("untidy-name", "lost-edges", lambda: with_names("Bold  mark", "Timid")),
    ("untidy-name", "edges", lambda: with_node("edges", name=" Edges")),
    ("similar-name", "lost-edges", lambda: with_names("Clear edge", "Bold")),
    ("similar-name", "lost-edges", lambda: with_names("Clear-edges", "Bold")),
    ("similar-name", "lost-edges", lambda: with_names("The clear edges", "Bold")),
    ("similar-name", "lost-edges", lambda: with_names("Edges clear", "Bold")),
    ("similar-name", "lost-edges", lambda: with_names("Equilibrium of visuals", "Bold")),
    ("similar-name", "lost-edges", lambda: with_names("Visual equilibirum", "Bold")),
    ("similar-name", "lost-edges", lambda: with_names("Visual equilibriun", "Bold")),
    ("similar-name", "lost-edges", lambda: with_names("Visual equilibriium", "Bold")),
    ("similar-name", "lost-edges", lambda: with_names("Visual equlibrium", "Bold")),
    ("negated-name", "lost-edges", lambda: with_names("Layered depth", "No layered depth")),
    ("negated-name", "lost-edges", lambda: with_names("Layered depth", "Lack of layered depth")),
    ("negated-name", "lost-edges", lambda: with_names("Layered depths", "Depth not layered")),
    ("negated-name", "lost-edges", lambda: with_names("Focal point", "Without a focal point")),
    ("unknown-successor", "old", lambda: replaced(old=("gone",))),
    ("replaced-in-use", "radial", lambda: replaced(radial=("circular",))),
    ("successor-cycle", "old", lambda: replaced(old=("older",), older=("old",))),
    ("successor-kind", "old", lambda: replaced(old=("circular", "edges"))),
    ("prompt-clash", "lost-edges", lambda: with_side("lost-edges", prompt="clear edges")),
    ("prompt-clash", "lost-edges", lambda: with_side("lost-edges", prompt="soft, broken contours")),
    ("bad-name", "edges", lambda: with_node("edges", words=Words(alternatives=("x" * 81,)))),
    ("untidy-name", "edges", lambda: with_node("edges", words=zh(" 边缘"))),
    ("translation-clash", "lost-edges", lambda: with_side("lost-edges", words=zh("明确的边缘"))),
    (
        "alternative-clash",
        "lost-edges",
        lambda: with_side("lost-edges", words=Words(alternatives=("clear edges",))),
    ),
    ("unknown-content", "edges", lambda: with_node("edges", needs=("hands", "feet"))),
    ("unknown-content", "clear-edges", lambda: with_node("clear-edges", needs=("feet",))),
    (
        "unknown-style",
        "lost-edges",
        lambda: with_side("lost-edges", styles=(StyleReading("cubism", "neutral"),)),
    ),
    (
        "bad-exclusion",
        "lost-edges",
        lambda: with_side("lost-edges", excludes=(Side("edges", "positive"),)),
    ),
    (
        "bad-exclusion",
        "lost-edges",
        lambda: with_side("lost-edges", excludes=(Side("lost-edges", "negative"),)),
    ),
    (
        "valueless-exclusion",
        "radial",
        lambda: with_side("radial", excludes=(Side("circular", "positive"),)),
    ),
    ("own-language", "edges", lambda: with_node("edges", words=in_language("en", "Margins"))),
    ("incomplete-language", "lost-edges", lambda: translated_but("lost-edges")),
    ("own-link", "edges", lambda: with_node("edges", words=linked("urn:morelli:criteria:radial"))),
    ("no-web-address", "edges", lambda: with_node("edges", words=linked("urn:isbn:0451450523"))),
    (
        "mapping-clash",
        "edges",
        lambda: with_node("edges", words=replace(linked(LINK), close_match=(LINK,))),
    ),
    (
        "mapping-clash",
        "edges",
        lambda: change_node(
            with_node("edges", words=linked(LINK)),
            "composition",
            lambda node: replace(node, words=linked(LINK)),
        ),
    ),
]


@pytest.mark.parametrize(("code", "key", "plant"), PLANTED)
def test_finds_the_planted_fault_and_no_other(
    code: str, key: str, plant: Callable[[], Criteria]
) -> None:
    found = check(plant())
    assert (code, key) in [(problem.code, problem.key) for problem in found]
    assert {problem.code for problem in found} == {code}
    assert [problem.severity for problem in found] == [SEVERITIES[code]] * len(found)
    assert all(problem.message.endswith(".") for problem in found)


def test_each_quality_issue_of_qskos_is_told_or_cannot_be() -> None:
    assert len(QSKOS) == 29
    told = {code for codes in QSKOS.values() if not isinstance(codes, str) for code in codes}
    assert told <= set(SEVERITIES)
    assert all(codes for codes in QSKOS.values())


def test_a_translation_that_was_only_begun_is_no_fault() -> None:
    assert codes(with_node("edges", words=zh("边缘"))) == []


def test_every_code_is_planted() -> None:
    assert {code for code, _, _ in PLANTED} == set(SEVERITIES)


@pytest.mark.parametrize(
    ("positive", "negative"),
    [
        ("Symmetric layout", "Asymmetric layout"),
        ("Warm light on cool shadow", "Cool light on warm shadow"),
        ("High key", "Low key"),
        ("Hard edges", "Soft edges"),
        ("Warm dominance", "Cool dominance"),
        ("Negative space", "Crowded ground"),
        ("Focal point", "No place to rest"),
        ("Circle broken open", "Absence of shape-breaking elements"),
    ],
)
def test_names_that_differ_in_meaning_are_left_alone(positive: str, negative: str) -> None:
    assert check(with_names(positive, negative)) == []


def test_negation_is_only_known_in_english() -> None:
    tree = with_names("Layered depth", "No layered depth")
    assert check(replace(tree, language="es")) == []
    assert codes(replace(tree, language="en-GB")) == [("negated-name", "lost-edges")]


def test_a_flaw_outside_an_exclusive_dimension_only_wants_a_definition() -> None:
    tree = with_node("lost-edges", relation="flaw", negative=Attribute("Cut out"))
    assert codes(tree) == [("missing-definition", "lost-edges")]


def test_retired_nodes_are_not_asked_for_anything_but_their_key() -> None:
    old = replace(pair("old-edges", "Clear edges", ""), retired=True)
    assert check(with_pairs("edges", old)) == []
    assert codes(with_pairs("edges", replace(old, key="radial"))) == [("duplicate-key", "radial")]


def test_retiring_every_pair_empties_the_dimension() -> None:
    tree = small_tree()
    for key in ("clear-edges", "lost-edges"):
        tree = change_node(tree, key, lambda node: replace(node, retired=True))
    assert codes(tree) == [("no-attributes", "edges")]
    assert check(change_node(tree, "edges", lambda node: replace(node, retired=True))) == []


def test_only_the_top_of_a_branch_is_too_deep() -> None:
    assert codes(replace(small_tree(), max_levels=1)) == [
        ("too-deep", "geometry"),
        ("too-deep", "balance"),
        ("too-deep", "clear-edges"),
        ("too-deep", "lost-edges"),
    ]


def test_says_what_is_wrong_and_what_to_do() -> None:
    (problem,) = check(with_names("Clear edges", "Bold"))
    assert problem.message == (
        "“Clear edges” (the positive side of lost-edges) also names the positive side of "
        "clear-edges; a prompt cannot tell them apart, rename one."
    )
    (problem,) = check(with_node("edges", pairs=()))
    assert problem.message == (
        "“Edge Relationship” holds no attribute pair; add one, or retire the dimension."
    )


@given(criteria_trees())
def test_any_tree_can_be_checked(criteria: Criteria) -> None:
    keys = {"", *criteria.successors, *(entry.node.key for entry in criteria.walk())}
    found = check(criteria)
    assert found == check(criteria)
    assert all(problem.key in keys for problem in found)
    assert has_errors(found) == any(problem.severity == "error" for problem in found)


def doubled(number: int) -> str:
    """A word for a number, each letter twice, so that no two differ by one letter only."""
    return "q" + "".join(2 * "abcdefghij"[int(digit)] for digit in f"{number:04d}")


def test_one_letter_is_found_among_thousands_of_names() -> None:
    many = [pair(f"p{n}", f"Quality {doubled(n)}", f"Fault {doubled(n)}") for n in range(2_000)]
    typo = f"Quality {doubled(400)}x"
    assert codes(with_pairs("edges", *many)) == []
    assert codes(with_pairs("edges", *many, pair("last", typo, "Bold"))) == [
        ("similar-name", "last")
    ]


def test_numbers_are_no_typos() -> None:
    assert check(with_names("Point of view 10000", "Point of view 10001")) == []

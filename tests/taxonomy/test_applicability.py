"""What applies to an image and how it reads there."""

from dataclasses import replace
from typing import Any

import pytest

from taxonomy.applicability import UNKNOWN, Applicability, Traits, Vocabulary
from taxonomy.tree import (
    Attribute,
    Criteria,
    Dimension,
    ImageContent,
    ImageStyle,
    Pair,
    Side,
    StyleReading,
)
from tests.taxonomy.trees import small_tree

BLURRED = Attribute(
    "Blurred edges",
    styles=(
        StyleReading("impressionism", "positive"),
        StyleReading("ink", "neutral"),
    ),
)
HANDS = Dimension(
    "hands",
    "Hands",
    needs=("hands",),
    pairs=(
        Pair("grip", "graded", Attribute("Firm grip"), Attribute("Mitten"), needs=("figures",)),
    ),
)
TREE = Criteria(
    "Test",
    dimensions=(
        Dimension(
            "figures",
            "Figures",
            needs=("figures",),
            dimensions=(HANDS,),
            pairs=(Pair("stance", "opposed", Attribute("Weight"), Attribute("Hovering feet")),),
        ),
        Dimension("edges", "Edges", pairs=(Pair("clear", "opposed", Attribute("Clear"), BLURRED),)),
    ),
    content=(ImageContent("figures", "Figures"), ImageContent("hands", "Hands")),
    styles=(
        ImageStyle("impressionism", "Impressionism", ("Plein air", "印象派")),
        ImageStyle("ink", "Chinese ink, xieyi"),
    ),
)
ASKED = Applicability(TREE)


def of(*styles: str, absent: tuple[str, ...] = (), present: tuple[str, ...] = ()) -> Traits:
    return Traits(frozenset(styles), frozenset(present), frozenset(absent))


@pytest.mark.parametrize(
    ("key", "traits", "lacking"),
    [
        ("grip", UNKNOWN, ()),
        ("grip", of(present=("figures", "hands")), ()),
        ("grip", of(absent=("hands",)), ("hands",)),
        ("grip", of(absent=("hands", "figures")), ("figures", "hands")),
        ("stance", of(absent=("hands",)), ()),
        ("stance", of(absent=("figures",)), ("figures",)),
        ("hands", of(absent=("figures",)), ("figures",)),
        ("clear", of(absent=("hands", "figures")), ()),
        ("gone", of(absent=("hands",)), ()),
    ],
)
def test_a_branch_applies_where_no_content_that_it_needs_is_known_to_be_lacking(
    key: str, traits: Traits, lacking: tuple[str, ...]
) -> None:
    assert ASKED.lacking(key, traits) == lacking


@pytest.mark.parametrize(
    ("traits", "reads"),
    [
        (UNKNOWN, "negative"),
        (of("baroque"), "negative"),
        (of("ink"), "neutral"),
        (of("impressionism"), "positive"),
        (of("impressionism", "ink", "baroque"), "positive"),
    ],
)
def test_an_attribute_reads_as_the_style_says(traits: Traits, reads: str) -> None:
    assert ASKED.reads("clear", "negative", traits) == reads
    assert ASKED.reads("clear", "positive", traits) == "positive"


def test_labels_are_sorted_by_how_they_read() -> None:
    held = tuple(Side(key, "negative") for key in ("clear", "stance", "grip"))
    read = ASKED.sort(held, of("ink", absent=("hands",)))
    assert read.neutral == (Side("clear", "negative"),)
    assert read.negative == (Side("stance", "negative"),)
    assert read.not_applicable == (Side("grip", "negative"),)
    assert ASKED.sort(held, of("impressionism")).positive == (Side("clear", "negative"),)
    assert ASKED.sort(held, UNKNOWN).negative == held


def test_criteria_that_say_nothing_of_it_are_plain() -> None:
    assert Applicability(small_tree()).is_plain
    assert not ASKED.is_plain
    assert not Applicability(replace(TREE, dimensions=TREE.dimensions[:1])).is_plain


@pytest.mark.parametrize(
    ("value", "ids"),
    [
        ("Impressionism", ["impressionism"]),
        (" plein_air ", ["impressionism"]),
        ("印象派", ["impressionism"]),
        ("Chinese ink, xieyi", ["ink"]),
        ("Baroque; Impressionism / ink", ["impressionism", "ink"]),
        (["ink", "Cubism", 3], ["ink"]),
        ("Cubism", []),
        ("", []),
        (None, []),
        (1874, []),
    ],
)
def test_styles_are_found_by_the_words_of_metadata(value: object, ids: list[str]) -> None:
    assert list(Vocabulary(TREE).find("style", value)) == ids


def test_content_is_found_by_its_name() -> None:
    assert list(Vocabulary(TREE).find("content", "hands, horizon")) == ["hands"]


def test_traits_come_back_from_a_dataset() -> None:
    traits = of("ink", absent=("hands",), present=("figures",))
    assert Traits.of(traits.as_data()) == traits
    assert UNKNOWN.as_data() == {}
    wrong: list[Any] = [{"style": ["ink"]}, {"styles": 3}, {"styles": "ink"}, ["ink"]]
    for each in wrong:
        with pytest.raises(TypeError):
            Traits.of(each)

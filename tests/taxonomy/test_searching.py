"""Attributes and nodes of a tree, found by words."""

import pytest

from taxonomy.searching import FoundNode, Index
from taxonomy.tree import Attribute, Criteria, Dimension, Pair, Translation, Words
from tests.searches import SEARCHES, Search


def tree_of(search: Search) -> Criteria:
    """Each thing is the negative side of a pair in a dimension that is called like its place."""
    return Criteria(
        "Things",
        dimensions=tuple(
            Dimension(
                f"place-{number}",
                thing.place,
                pairs=(
                    Pair(
                        str(number), "opposed", Attribute(""), Attribute(thing.name, thing.text)
                    ),
                ),
            )
            for number, thing in enumerate(search.things)
        ),
    )  # fmt: skip


@pytest.mark.parametrize("search", SEARCHES, ids=lambda each: repr(each.typed))
def test_the_table_among_attributes(search: Search) -> None:
    found = Index(tree_of(search)).attributes(search.typed)
    assert tuple(int(each.key) for each in found if each.polarity == "negative") == search.found


def pair(key: str, positive: str, negative: str, says: str = "", *, retired: bool = False) -> Pair:
    return Pair(
        key, "opposed", Attribute(positive, says), Attribute(negative, ""), retired=retired
    )  # fmt: skip


TREE = Criteria(
    "Small",
    dimensions=(
        Dimension(
            "edges",
            "Edges",
            dimensions=(
                Dimension("seams", "Seams", "Where an edge closes.", pairs=(pair("a", "X", "Y"),)),
            ),
            pairs=(
                pair("lost", "Found outline", "Lost outline", "An edge is seen."),
                pair("hard", "Hard edge", "Mush", retired=True),
                pair("other", "Calm", "Loud"),
            ),
        ),
    ),
)


def test_a_filter_finds_lines_by_words_of_their_own() -> None:
    assert Index(TREE).nodes("edgé") == [
        FoundNode("edges", "name", {"name": ((0, 4),)}),
        FoundNode("seams", "definition", {"definition": ((9, 13),)}),
        FoundNode("lost", "definition", {"positive_definition": ((3, 7),)}),
        FoundNode("hard", "name", {"positive_name": ((5, 9),)}),
    ]
    # Words of a dimension above may help, but not alone.
    assert [each.key for each in Index(TREE).nodes("edges calm")] == ["other"]
    assert Index(TREE).nodes(" ") == Index(TREE).nodes("zebra") == []


def test_retired_attributes_cannot_be_added_and_are_not_offered() -> None:
    assert [each.name for each in Index(TREE).attributes("hard")] == []


def test_other_names_find_a_node_and_what_it_is_told_in_other_words() -> None:
    words = Words((Translation("zh-Hans", "边缘关系", "形体如何收尾"),), ("Contours",))
    side = Attribute("Blurred edges", words=Words(alternatives=("Sfumato",)), prompt="smeared")
    edges = Dimension(
        "edges", "Edges", words=words, pairs=(Pair("clear", "opposed", Attribute("Clear edges"), side),)
    )  # fmt: skip
    index = Index(Criteria("Test", dimensions=(edges,)))
    for typed in ("contour", "边缘"):
        assert index.nodes(typed) == [FoundNode("edges", "name", {})]
    assert index.nodes("收尾") == [FoundNode("edges", "definition", {})]
    assert index.nodes("sfum") == [FoundNode("clear", "name", {})]
    assert [each.name for each in index.attributes("sfumato")] == ["Blurred edges"]
    assert [each.name for each in index.attributes("smeared")] == ["Blurred edges"]

"""Which edition a tree is of, and what taking the newest one over keeps of what people wrote."""

from dataclasses import replace
from typing import Any

import pytest

from taxonomy.checks import check, has_errors
from taxonomy.editions import edition_of, take_over
from taxonomy.shipped import NEWEST, painting_criteria, painting_edition
from taxonomy.tree import (
    Attribute,
    Criteria,
    Dimension,
    ImageContent,
    Pair,
    Translation,
    Words,
)
from tests.taxonomy.strategies import change_node
from tests.taxonomy.trees import small_tree

FIRST = painting_edition(1)
OWN = Pair("snow-light", "opposed", Attribute("Snow light", "Seen."), Attribute("Gray snow", "So."))


def changed(criteria: Criteria, key: str, **values: Any) -> Criteria:
    return change_node(criteria, key, lambda node: replace(node, **values))


def test_trees_are_of_the_edition_that_they_began_with() -> None:
    assert NEWEST == 2
    assert edition_of(FIRST) == 1
    assert edition_of(painting_criteria()) is None
    assert edition_of(small_tree()) is None
    # A tree that merely names one of its keys is none of it.
    assert edition_of(Criteria("C", dimensions=(Dimension("passage", "Passage"),))) is None
    assert edition_of(changed(FIRST, "clear-edges", relation="graded")) == 1


def test_an_edition_that_nobody_changed_becomes_the_newest() -> None:
    taken = take_over(FIRST, 1).criteria
    assert taken == painting_criteria()
    assert edition_of(taken) is None


def test_what_people_wrote_stays() -> None:
    pair = FIRST.pair("clear-edges")
    ours = changed(
        FIRST,
        "light-character",
        pairs=(*FIRST.dimension("light-character").pairs, OWN),
    )
    ours = changed(
        ours,
        "clear-edges",
        positive=replace(
            pair.positive, name="Our clear edges", words=Words(alternatives=("Crisp",))
        ),
    )
    ours = replace(ours, content=(*ours.content, ImageContent("zebra", "Zebra")), name="Ours")
    taken = take_over(ours, 1).criteria
    assert taken.name == "Ours"
    assert taken.pair("snow-light") == OWN
    entry = taken.entry("snow-light")
    assert entry.parent is not None
    assert (entry.parent.key, entry.retired) == ("light-character", False)
    side = taken.pair("clear-edges").positive
    assert side.name == "Our clear edges"
    assert side.definition == painting_criteria().pair("clear-edges").positive.definition
    assert side.words.alternatives == ("Crisp edges", "Sharp edges", "Crisp")
    assert (
        side.words.translations
        == painting_criteria().pair("clear-edges").positive.words.translations
    )
    assert "zebra" in {each.id for each in taken.content}
    assert not has_errors(check(taken))
    # Nothing else differs from the edition.
    back = changed(taken, "clear-edges", positive=painting_criteria().pair("clear-edges").positive)
    back = changed(
        back,
        "light-character",
        pairs=tuple(
            each for each in back.dimension("light-character").pairs if each.key != OWN.key
        ),
    )
    assert (
        replace(back, name="Painting", content=painting_criteria().content) == painting_criteria()
    )


def test_what_both_changed_is_asked_and_stays_where_nobody_answers() -> None:
    pair, new = FIRST.pair("tenebrism"), painting_criteria().pair("tenebrism")
    words = Words(translations=(Translation("fr", "Ténébrisme"), Translation("zh-Hans", "暗")))
    side = replace(pair.positive, name="Ours", definition="As we see it.", words=words)
    other = replace(pair.negative, definition="Ours too.")
    ours = changed(FIRST, "tenebrism", positive=side, negative=other)
    found = take_over(ours, 1)
    edition = {each.language: each.name for each in new.positive.words.translations}
    was, then = pair.negative.definition, new.negative.definition
    assert {(each.place, each.was, each.ours, each.theirs) for each in found.both} == {
        ("tenebrism/positive.name", pair.positive.name, "Ours", new.positive.name),
        ("tenebrism/negative.definition", was, "Ours too.", then),
        ("tenebrism/positive.translations.zh-Hans.name", "", "暗", edition["zh-Hans"]),
    }
    kept = found.criteria.pair("tenebrism")
    assert (kept.positive.name, kept.positive.definition) == ("Ours", "As we see it.")
    names = {each.language: each.name for each in kept.positive.words.translations}
    assert names == {"fr": "Ténébrisme", "zh-Hans": "暗"}
    assert kept.negative == replace(new.negative, definition="Ours too.")
    chosen = take_over(ours, 1, ["tenebrism/positive.name"]).criteria.pair("tenebrism")
    assert (chosen.positive.name, chosen.negative) == (new.positive.name, kept.negative)
    with pytest.raises(ValueError, match=r"“clear-edges/positive\.name” is no text"):
        take_over(ours, 1, ["clear-edges/positive.name"])


def test_lists_of_names_hold_what_either_added() -> None:
    """Of what both added under one id the project's name stays."""
    first = painting_criteria().content[0]
    taken = take_over(replace(FIRST, content=(first._replace(name="Here"),)), 1)
    assert [each.name for each in taken.criteria.content if each.id == first.id] == ["Here"]
    assert len(taken.criteria.content) == len(painting_criteria().content)
    assert [each.place for each in taken.both] == [f"/content.{first.id}.name"]


def test_what_the_project_replaced_stays_replaced() -> None:
    """A merge of its own is not undone, and what the edition merges into it follows."""
    ours = change_node(FIRST, "lost-and-found-edges", lambda _: None)
    ours = replace(ours, successors={"lost-and-found-edges": ("clear-edges",)})
    taken = take_over(ours, 1).criteria
    assert taken.find("lost-and-found-edges") is None
    assert taken.resolve("passage") == ("clear-edges",)
    assert taken.resolve("lost-and-found-edges") == ("clear-edges",)


def test_what_people_retired_stays_retired() -> None:
    ours = changed(FIRST, "clear-edges", retired=True)
    assert take_over(ours, 1).criteria.entry("clear-edges").retired

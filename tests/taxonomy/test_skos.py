"""Criteria as SKOS: Turtle and JSON-LD."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings

from taxonomy.formats.existing import Existing
from taxonomy.formats.jsonld import read_jsonld, write_jsonld
from taxonomy.formats.turtle import read_turtle, write_turtle
from taxonomy.tree import POLARITIES, Criteria, Dimension, InvalidCriteria, Pair, Words
from tests.taxonomy.strategies import criteria_trees
from tests.taxonomy.trees import small_tree

Write = Callable[[Criteria], str]
Read = Callable[..., Criteria]
NOTATIONS = [
    pytest.param(write_turtle, read_turtle, id="Turtle"),
    pytest.param(write_jsonld, read_jsonld, id="JSON-LD"),
]


def in_other_languages(criteria: Criteria) -> Criteria:
    """The tree without translations into its own language, which SKOS has no place for."""

    def words(said: Words) -> Words:
        others = (each for each in said.translations if each.language != criteria.language)
        return replace(said, translations=tuple(others))

    def dimension(node: Dimension) -> Dimension:
        return replace(
            node,
            words=words(node.words),
            dimensions=tuple(map(dimension, node.dimensions)),
            pairs=tuple(map(pair, node.pairs)),
        )

    def pair(node: Pair) -> Pair:
        sides = {
            polarity: replace(node.attribute(polarity), words=words(node.attribute(polarity).words))
            for polarity in POLARITIES
        }
        return replace(node, **sides)

    return replace(criteria, dimensions=tuple(map(dimension, criteria.dimensions)))


@pytest.mark.parametrize(("write", "read"), NOTATIONS)
@settings(max_examples=40)
@given(criteria=criteria_trees())
def test_export_import_and_export_again_is_the_same(
    write: Write, read: Read, criteria: Criteria
) -> None:
    text = write(criteria)
    assert write(read(text)) == text
    assert read(text, Existing(criteria)) == in_other_languages(criteria)

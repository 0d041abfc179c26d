"""Criteria as SKOS: Turtle and JSON-LD."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings

from taxonomy.formats.existing import Existing
from taxonomy.formats.jsonld import read_jsonld, write_jsonld
from taxonomy.formats.turtle import read_turtle, write_turtle
from taxonomy.tree import Criteria, Dimension, Pair, Words
from tests.taxonomy.strategies import criteria_trees

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
        positive, negative = (
            replace(each, words=words(each.words)) for each in (node.positive, node.negative)
        )
        return replace(node, positive=positive, negative=negative)

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


FOREIGN = """@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix v: <https://vocab.example.org/> .
v:light a skos:Concept ; skos:prefLabel "Light"@en, "Licht"@de ; skos:narrower v:glow .
v:glow a skos:Concept ; skos:prefLabel "Glow"@en ; skos:altLabel "Shine"@en ;
  skos:definition "Light from within."@en .
"""


def test_a_vocabulary_of_others_is_read_and_linked() -> None:
    tree = read_turtle(FOREIGN)
    light, glow = tree.dimension("light"), tree.pair("glow")
    assert light.words.exact_match == ("https://vocab.example.org/light",)
    assert [each.name for each in light.words.translations] == ["Licht"]
    assert glow.positive.definition == "Light from within."
    assert glow.positive.words.alternatives == ("Shine",)
    assert glow.negative.name == ""


def test_names_without_an_address_are_the_same_wherever_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = re.sub(r"v:(\w+)", r"<\1>", FOREIGN)
    here = read_turtle(text)
    monkeypatch.chdir(tmp_path)
    assert read_turtle(text) == here
    assert here.pair("glow").key == "glow"


def test_a_vocabulary_of_others_finds_again_what_was_made_of_it() -> None:
    tree = read_turtle(FOREIGN)
    renamed = read_turtle(FOREIGN.replace('"Glow"', '"Inner light"'), Existing(tree))
    assert [each.key for each in renamed.pairs()] == ["glow"]
    assert renamed.pair("glow").positive.name == "Inner light"

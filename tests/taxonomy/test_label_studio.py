"""Criteria as a labelling configuration of Label Studio."""

import pytest
from hypothesis import given

from taxonomy.formats.existing import Existing
from taxonomy.formats.label_studio import read_label_studio, write_label_studio
from taxonomy.formats.yaml import write_yaml
from taxonomy.tree import Criteria, InvalidCriteria
from tests.taxonomy.strategies import criteria_trees
from tests.taxonomy.trees import small_tree


@given(criteria_trees())
def test_export_import_and_export_again_is_the_same(criteria: Criteria) -> None:
    text = write_label_studio(criteria)
    if "<Choice" not in text:
        return
    assert write_label_studio(read_label_studio(text)) == text
    assert write_label_studio(read_label_studio(text, Existing(criteria))) == text


def test_what_it_does_not_hold_stays_as_it_is() -> None:
    tree = small_tree()
    assert write_yaml(read_label_studio(write_label_studio(tree), Existing(tree))) == write_yaml(
        tree
    )


def test_a_choice_of_others_is_the_positive_side_of_a_pair() -> None:
    text = """<View><Text name="t" value="$t"/><Taxonomy name="x" toName="t">
    <Choice value="Light"><Choice value="Glow"/>
    <Choice value="Shadow"/></Choice></Taxonomy></View>"""
    tree = read_label_studio(text)
    assert [each.key for each in tree.pairs()] == ["glow", "shadow"]
    assert tree.pair("glow").positive.name == "Glow"
    assert tree.pair("glow").negative.name == ""
    assert tree.path_of("glow") == ("light", "glow")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not XML"),
        ("<View>", "line 1"),
        ("<View><Choices/></View>", "has 0 <Taxonomy>"),
        ("<Taxonomy/>", "0 choices"),
        ("<Taxonomy>" + "<Choice value='a'>" * 200, "nested too deep"),
        (
            (
                '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>'
                '<Taxonomy><Choice value="&d;"/></Taxonomy>'
            ),
            "declares",
        ),
        (
            (
                '<Taxonomy><Choice value="A">\n<Choice value="B" alias="b/positive"/>\n'
                '<Choice value="C" alias="b/positive"/></Choice></Taxonomy>'
            ),
            "line 3: b/positive stands at line 2 too",
        ),
        (
            (
                '<Taxonomy><Choice value="A" alias="a"><Choice value="B"/></Choice>\n'
                '<Choice value="C" alias="a"><Choice value="D"/></Choice></Taxonomy>'
            ),
            "line 2: a stands at line 1 too",
        ),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(InvalidCriteria, match=words):
        read_label_studio(text)

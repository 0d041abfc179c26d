"""Criteria as tables: CSV and Excel."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.formats.csv import read_csv, write_csv
from taxonomy.formats.existing import Existing
from taxonomy.formats.rows import join, split
from taxonomy.formats.xlsx import read_xlsx, write_xlsx
from taxonomy.tree import Criteria
from tests.taxonomy.strategies import criteria_trees, some_texts
from tests.taxonomy.trees import small_tree


@given(st.lists(some_texts))
def test_several_values_of_a_cell_come_back(values: list[str]) -> None:
    assert split(join(values)) == values


@given(criteria_trees())
def test_csv_drops_nothing(criteria: Criteria) -> None:
    text = write_csv(criteria)
    again = read_csv(text)
    assert again == criteria
    assert write_csv(again) == text


@given(criteria_trees(), criteria_trees())
def test_what_is_there_already_does_not_come_through_a_whole_table(
    criteria: Criteria, other: Criteria
) -> None:
    same = Existing(criteria)
    assert read_csv(write_csv(criteria), same) == criteria
    assert set(split_keys(read_csv(write_csv(criteria), Existing(other)))) == set(
        split_keys(criteria)
    )


def split_keys(criteria: Criteria) -> list[str]:
    return [entry.node.key for entry in criteria.walk()]


@settings(max_examples=30)
@given(criteria_trees())
def test_excel_drops_nothing(criteria: Criteria) -> None:
    content = write_xlsx(criteria)
    again = read_xlsx(content)
    assert again == criteria
    assert write_xlsx(again) == content


TABLE = """dimension 1,dimension 2,relation,positive name,negative name
Composition,Geometric composition,flaw,Circular composition,Closed circle
Composition,Geometric composition,opposed,Spiral,Knot
Light,,opposed,Glow,Chalky glow
"""


def test_rows_without_keys_are_found_by_their_place_and_name() -> None:
    tree = read_csv(TABLE, Existing(small_tree()))
    assert [each.key for each in tree.pairs()] == ["circular", "spiral", "glow"]
    assert tree.pair("circular").negative.name == "Closed circle"
    assert tree.pair("circular").positive == small_tree().pair("circular").positive
    assert tree.dimension("geometry").exclusive
    assert tree.path_of("spiral") == ("composition", "geometry", "spiral")
    assert tree.path_of("glow") == ("light", "glow")


def test_a_key_wins_over_a_name_and_a_renamed_dimension_is_still_found_by_its_old_name() -> None:
    rows = "row,key,dimension 1,name,relation,positive name,negative name\n"
    rows += "dimension,edges,,Contours,,,\n"
    rows += "pair,lost-edges,Edge Relationship,,opposed,Clear edges,Hard\n"
    tree = read_csv(rows, Existing(small_tree()))
    assert tree.dimension("edges").name == "Contours"
    assert tree.path_of("lost-edges") == ("edges", "lost-edges")
    assert [each.key for each in tree.pairs()] == ["lost-edges"]


def test_a_key_that_was_used_once_is_not_given_again() -> None:
    tree = read_csv(TABLE, Existing(taken=["glow", "light"]))
    assert tree.path_of("glow-2") == ("light-2", "glow-2")


def test_cells_that_a_spreadsheet_would_run_are_guarded() -> None:
    tree = replace(small_tree(), name='=HYPERLINK("https://example.org")')
    text = write_csv(tree)
    assert "\"'=HYPERLINK" in text
    assert read_csv(text).name == tree.name

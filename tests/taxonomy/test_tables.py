"""Criteria as tables: CSV and Excel."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.changes import difference
from taxonomy.formats.csv import read_csv, write_csv
from taxonomy.formats.existing import Existing
from taxonomy.formats.rows import join, split
from taxonomy.formats.xlsx import read_xlsx, write_xlsx
from taxonomy.formats.yaml import read_yaml, write_yaml
from taxonomy.tree import Criteria, InvalidCriteria
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

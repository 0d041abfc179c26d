"""Putting faults right that have one way to be."""

from collections.abc import Callable

import pytest

from taxonomy.checks import check
from taxonomy.fixing import FIXES, LABELS, can_fix, fix
from taxonomy.tree import Criteria
from tests.taxonomy.test_checks import PLANTED
from tests.taxonomy.trees import small_tree

FIXABLE = [each for each in PLANTED if each[0] in FIXES]


@pytest.mark.parametrize(("code", "key", "plant"), FIXABLE)
def test_a_fault_is_gone_and_no_other_came(
    code: str, key: str, plant: Callable[[], Criteria]
) -> None:
    tree = plant()
    found = [each for each in check(tree) if each.key == key]
    fixed = fix(tree, code, key)
    if fixed is None:
        # Of two nodes that are the same as one thing elsewhere, a person has to say which is.
        assert code == "mapping-clash"
        return
    left = [each for each in check(fixed) if each.key == key]
    assert len(left) < len(found)
    assert not can_fix(fixed, code, key)


def test_each_fix_has_a_name_and_is_tried() -> None:
    assert FIXES.keys() == LABELS.keys() == {code for code, _, _ in FIXABLE}


def test_where_there_is_no_fault_there_is_nothing_to_fix() -> None:
    assert fix(small_tree(), "untidy-name", "edges") is None
    assert fix(small_tree(), "missing-definition", "edges") is None
    assert fix(small_tree(), "untidy-name", "nowhere") is None

"""The page about the agent says what the rules say."""

import re
from dataclasses import replace
from pathlib import Path

from taxonomy.formats.yaml import read_yaml
from taxonomy.shipped import painting_criteria, painting_edition
from taxonomy.tree import POLARITIES
from worker.agents import describing
from worker.agents.describing import (
    JUDGED_UNDER,
    describe_reworded,
    describe_rules,
    describe_withdrawn,
    reworded,
)
from worker.agents.rules import RULES
from worker.agents.withdrawn import WITHDRAWN

ROOT = Path(describing.__file__).parents[2]
PAGE = (ROOT / "docs" / "agent-measured.md").read_text(encoding="utf-8")


def test_the_tables_are_those_of_the_rules() -> None:
    assert describe_rules() in PAGE
    assert describe_withdrawn() in PAGE


def test_the_page_says_which_figures_rest_on_other_words() -> None:
    """By program: what the criteria reword from now on has to come onto the page."""
    assert describe_reworded() in PAGE
    judged, now = painting_edition(JUDGED_UNDER), painting_criteria()
    found = reworded(judged, now)
    proposed = sum(bool(rule.side(each)) for rule in RULES for each in POLARITIES)
    assert f"words {len(found)} of the {proposed} sides that are proposed otherwise" in PAGE
    assert f"the other {proposed - len(found)} are defined as they were judged" in PAGE
    assert ("simplified-masses", "negative") in {(rule.key, side) for rule, side in found}
    assert reworded(now, now) == []
    # A pair that the judged edition does not have was not judged by it.
    gone = replace(judged, dimensions=())
    assert len(reworded(gone, now)) == proposed


def test_the_numbers_in_the_text_are_those_of_the_rules() -> None:
    criteria = read_yaml((ROOT / "taxonomy" / "painting.yaml").read_text(encoding="utf-8"))
    positive = sum(bool(rule.positive) for rule in RULES)
    negative = sum(bool(rule.negative) for rule in RULES)
    silent = len(criteria.pairs()) - len(RULES)
    assert f"decides {len(RULES)} attribute pairs" in PAGE
    assert f"{positive} on the positive side and {negative} on the negative side" in PAGE
    assert f"silent about the other {silent}" in PAGE
    assert f"{len(WITHDRAWN)} sides were withdrawn" in PAGE
    evaluation = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
    found = re.search(
        r"decides (\d+) of the painting\s+criteria's (\d+) pairs, (\d+) of them", evaluation
    )
    assert found
    assert [int(each) for each in found.groups()] == [len(RULES), len(criteria.pairs()), negative]

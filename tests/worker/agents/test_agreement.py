"""The measured agent against paintings whose truth is known and that no threshold was set on."""

from __future__ import annotations

import pytest

from method.painter.painting import STATED
from worker.agents.agreement import Tally, demo_pictures, overall, tally
from worker.agents.measured import Finding
from worker.agents.rules import RULES

HELD_OUT, COUNT, SIZE = 5000, 80, 320


@pytest.fixture(scope="module")
def table() -> dict[str, Tally]:
    return tally(demo_pictures(HELD_OUT, COUNT, SIZE))


def test_proposals_are_right_on_held_out_paintings(table: dict[str, Tally]) -> None:
    whole = overall(table)
    assert whole.proposed > 2 * COUNT
    assert (whole.precision or 0) >= 0.9
    assert (whole.recall or 0) >= 0.45


def test_no_rule_is_mostly_wrong(table: dict[str, Tally]) -> None:
    poor = {
        key: row.precision
        for key, row in table.items()
        if row.proposed >= 5 and (row.precision or 0) < 0.6
    }
    assert not poor


def test_nearly_every_stated_pair_is_put_to_the_test(table: dict[str, Tally]) -> None:
    assert table.keys() == set(STATED) & {rule.key for rule in RULES}
    assert sum(row.proposed > 0 for row in table.values()) >= len(table) - 2


def finding(key: str, polarity: str) -> Finding:
    return Finding(
        key, "negative" if polarity == "negative" else "positive", "m", 1.0, 0.5, "r", 0.9
    )


def test_tally_counts_right_wrong_missed_and_unknown() -> None:
    judged = [
        ([finding("warm-dominance", "positive")], {"warm-dominance": "positive"}, frozenset[str]()),
        ([finding("warm-dominance", "positive")], {}, frozenset({"warm-dominance"})),
        ([], {"warm-dominance": "positive"}, frozenset[str]()),
        ([finding("warm-dominance", "positive")], {}, frozenset[str]()),
    ]
    row = tally(judged)["warm-dominance"]
    assert (row.stated, row.holding, row.proposed, row.right) == (3, 2, 2, 1)
    assert (row.precision, row.recall) == (0.5, 0.5)


def test_a_wrong_polarity_is_wrong() -> None:
    row = tally([([finding("clear-edges", "negative")], {"clear-edges": "positive"}, frozenset())])[
        "clear-edges"
    ]
    assert (row.proposed, row.right) == (1, 0)


def test_what_the_agent_never_proposes_is_not_missed() -> None:
    table = tally(
        [([], {"clear-edges": "negative", "brushwork-in-evidence": "positive"}, frozenset())]
    )
    assert (table["clear-edges"].stated, table["clear-edges"].holding) == (1, 0)
    assert "brushwork-in-evidence" not in table


def test_no_share_of_nothing() -> None:
    assert Tally().precision is None
    assert Tally().recall is None

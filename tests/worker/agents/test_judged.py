"""What people said of the measured agent's labels on paintings, by file name; the paintings are not part of Morelli.

`proposed` says whether the version that the figures of docs/agent-measured.md are of proposes the label.
"""

import csv
from collections import Counter
from pathlib import Path

from taxonomy.shipped import painting_criteria
from taxonomy.tree import POLARITIES
from worker.agents.rules import RULES

LEAST_BY_SIDE, LEAST_BY_ROOT, LEAST_NEGATIVE_SIDES = 0.8, 0.85, 8


def verdicts() -> dict[tuple[str, str], Counter[str]]:
    """The verdicts on the labels that are proposed, by side."""
    sides: dict[tuple[str, str], Counter[str]] = {}
    with Path(__file__).with_name("judgements.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["proposed"] == "yes":
                side = (row["attribute_key"], row["polarity"])
                sides.setdefault(side, Counter())[row["verdict"]] += 1
    return sides


def precision(counts: Counter[str]) -> float:
    return counts["appears"] / (counts["appears"] + counts["does not appear"])


def test_every_side_is_right_in_four_of_five_judged_labels() -> None:
    judged = verdicts()
    proposed = {(rule.key, side) for rule in RULES for side in POLARITIES if rule.side(side)}
    assert proposed == judged.keys()
    assert {side for side, counts in judged.items() if precision(counts) < LEAST_BY_SIDE} == set()


def test_every_root_dimension_is_right_more_often_and_faults_are_no_worse() -> None:
    criteria = painting_criteria()
    roots: dict[str, Counter[str]] = {}
    negative: Counter[str] = Counter()
    for (key, polarity), counts in verdicts().items():
        roots.setdefault(criteria.root_of(key).key, Counter()).update(counts)
        if polarity == "negative":
            negative.update(counts)
    assert roots.keys() == {dimension.key for dimension in criteria.dimensions}
    assert {key for key, counts in roots.items() if precision(counts) < LEAST_BY_ROOT} == set()
    assert precision(negative) >= LEAST_BY_SIDE
    assert sum(bool(rule.negative) for rule in RULES) >= LEAST_NEGATIVE_SIDES

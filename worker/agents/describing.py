"""The tables of docs/agent-measured.md that follow from the rules: `python -m worker.agents.describing` prints them."""

from __future__ import annotations

from taxonomy.shipped import painting_criteria, painting_edition
from taxonomy.tree import POLARITIES, Criteria, Pair, Polarity
from worker.agents.rules import RULES, Condition, Rule
from worker.agents.withdrawn import WITHDRAWN

# The edition of the shipped criteria that lay before the judges of the figures on the page.
JUDGED_UNDER = 1


def describe_rules() -> str:
    rows = [
        [
            f"`{rule.key}` ({rule.relation})",
            _side(rule, "positive"),
            _side(rule, "negative"),
            rule.explanation,
            rule.reference,
        ]
        for rule in RULES
    ]
    return _table(["pair", "positive when", "negative when", "rests on", "source"], rows)


def describe_withdrawn() -> str:
    """The sides that are proposed no more, as a Markdown table."""
    rows = [
        [
            f"`{side.key}`",
            side.polarity,
            f"{side.appears}/{side.does_not_appear}/{side.cannot_tell}",
            side.reason,
        ]
        for side in WITHDRAWN
    ]
    return _table(["pair", "side", "appears/does not/cannot tell", "why"], rows)


def reworded(judged: Criteria, now: Criteria) -> list[tuple[Rule, Polarity]]:
    """The sides that are proposed whose definition under `now` is not the one they were judged by."""
    return [
        (rule, polarity)
        for rule in RULES
        for polarity in POLARITIES
        if rule.side(polarity)
        and _definition(judged, rule.key, polarity) != _definition(now, rule.key, polarity)
    ]


def describe_reworded() -> str:
    """The sides whose figures rest on a definition that the shipped criteria word otherwise by now."""
    judged, now = painting_edition(JUDGED_UNDER), painting_criteria()
    rows = [
        [
            f"`{rule.key}`",
            f"{polarity}: {now.pair(rule.key).attribute(polarity).name}",
            _definition(judged, rule.key, polarity) or "not in that edition",
            _definition(now, rule.key, polarity),
        ]
        for rule, polarity in reworded(judged, now)
    ]
    return _table(["pair", "side", "judged by", "defined now"], rows)


def _definition(criteria: Criteria, key: str, polarity: Polarity) -> str:
    entry = criteria.find(key)
    is_pair = entry is not None and isinstance(entry.node, Pair)
    return criteria.pair(key).attribute(polarity).definition if is_pair else ""


def _side(rule: Rule, polarity: Polarity) -> str:
    return ", ".join(map(_condition, rule.side(polarity))) or "never proposed"


def _condition(condition: Condition) -> str:
    sign = ">" if condition.side == "above" else "<"
    return f"{condition.measure} {sign} {condition.threshold:g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(f"{describe_rules()}\n\n{describe_reworded()}\n\n{describe_withdrawn()}")

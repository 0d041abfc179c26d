"""The tables of docs/agent-measured.md that follow from the rules: `python -m worker.agents.describing` prints them."""

from __future__ import annotations

from taxonomy.tree import Polarity
from worker.agents.rules import RULES, Condition, Rule
from worker.agents.withdrawn import WITHDRAWN


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


def _side(rule: Rule, polarity: Polarity) -> str:
    return ", ".join(map(_condition, rule.side(polarity))) or "never proposed"


def _condition(condition: Condition) -> str:
    sign = ">" if condition.side == "above" else "<"
    return f"{condition.measure} {sign} {condition.threshold:g}"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(f"{describe_rules()}\n\n{describe_withdrawn()}")

"""What the vlm agent's plan costs for a criteria tree, beside the other plans that were thought of.

    python -m worker.agents.vlm.plan [CRITERIA.yaml]

Tokens that one image reads, estimated by four letters to a token; what the model writes is alike in all plans. The
document docs/agents.md holds what it prints for the shipped tree.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from taxonomy.formats.yaml import read_yaml
from taxonomy.shipped import painting_criteria
from taxonomy.tree import Criteria, Dimension, Entry, Pair
from worker.agents.vlm.asking import (
    Question,
    branches_below,
    deconstruct,
    parts,
    prompt,
    quantify,
    structure,
)

LETTERS_A_TOKEN = 4
# What services charge for a picture of 1024 pixels a side, within a factor of two.
PICTURE_TOKENS = 1000
SHARES = (1.0, 0.5, 0.25)
T = TypeVar("T")


@dataclass(frozen=True)
class Cost:
    """Of one question, or of all of a plan: how many they are, and the tokens of pictures, words and forms."""

    questions: int
    picture: int
    words: int
    form: int

    @property
    def tokens(self) -> int:
        return self.picture + self.words + self.form

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.questions + other.questions,
            self.picture + other.picture,
            self.words + other.words,
            self.form + other.form,
        )


NOTHING = Cost(0, 0, 0, 0)


def cost_of(*questions: Question) -> Cost:
    """What these questions read; each shows the picture and says who is asked."""
    total = NOTHING
    for each in questions:
        words = _tokens(prompt("system") + each.text)
        total += Cost(1, PICTURE_TOKENS, words, _tokens(json.dumps(each.schema)))
    return total


def plans(criteria: Criteria, share: float) -> dict[str, Cost]:
    """What one image reads by each plan where this share of the branches, and of their pairs, applies to it.

    `three steps` is the one that is built.
    """
    everything = [each.id for each in criteria.content]
    dimensions = [
        each
        for each in criteria.walk()
        if isinstance(each.node, Dimension) and not each.retired and each.level <= 2
    ]
    below = branches_below(criteria, {each.node.key for each in dimensions}, everything)
    pairs = criteria.active_pairs()
    some_below, some_pairs = _share(below, share), _share(pairs, share)
    quantified = cost_of(*(quantify(each) for each in parts(some_pairs)))
    first = cost_of(deconstruct(criteria))
    second = cost_of(structure(criteria, some_below)) if some_below else NOTHING
    return {
        "three steps": first + second + quantified,
        "level by level": first + _by_level(criteria, share) + quantified,
        "branch by branch": first + second + _by_branch(criteria, share),
        "all pairs at once": cost_of(*(quantify(each) for each in parts(pairs))),
    }


def _by_level(criteria: Criteria, share: float) -> Cost:
    """A question for each level below the first two, about the branches that are activated there."""
    levels: dict[int, list[Entry]] = {}
    for each in criteria.walk():
        if isinstance(each.node, Dimension) and not each.retired and each.level > 2:
            levels.setdefault(each.level, []).append(each)
    asked = (structure(criteria, _share(each, share)) for each in levels.values())
    return cost_of(*asked)


def _by_branch(criteria: Criteria, share: float) -> Cost:
    """A question for each dimension that holds pairs, about its pairs alone."""
    branches: dict[str, list[Pair]] = {}
    for each in criteria.walk():
        if isinstance(each.node, Pair) and not each.retired:
            branches.setdefault(each.path[-2], []).append(each.node)
    return cost_of(*(quantify(each) for each in _share(list(branches.values()), share)))


def _share(some: Sequence[T], share: float) -> list[T]:
    """So many of them, spread over all."""
    number = round(len(some) * share)
    return [some[index * len(some) // number] for index in range(number)]


def _tokens(text: str) -> int:
    return -(-len(text) // LETTERS_A_TOKEN)


def table(criteria: Criteria) -> str:
    """The plans as a Markdown table: questions, and tokens read with each image."""
    head = "".join(f" {share:.0%} of the tree applies |" for share in SHARES)
    lines = [f"| plan |{head}", f"| --- |{' ---: |' * len(SHARES)}"]
    by_share = [plans(criteria, share) for share in SHARES]
    for name in by_share[0]:
        costs = [each[name] for each in by_share]
        cells = [f"{each.questions} questions, {_rounded(each.tokens)}" for each in costs]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    steps = plans(criteria, 1.0)["three steps"]
    kinds = [_rounded(each) for each in (steps.picture, steps.words, steps.form)]
    lines += [
        "",
        "Of the three steps where all applies, {} tokens are pictures, {} words and {} the form of the answers.".format(
            *kinds
        ),
    ]
    return "\n".join(lines) + "\n"


def _rounded(tokens: int) -> str:
    """To a hundred: more would claim more than an estimate knows."""
    return f"{round(tokens, -2):,}"


def main() -> None:
    """Print it for a tree."""
    if len(sys.argv) > 1:
        criteria = read_yaml(Path(sys.argv[1]).read_text("utf-8"))
    else:
        criteria = painting_criteria()
    print(table(criteria), end="")


if __name__ == "__main__":
    main()

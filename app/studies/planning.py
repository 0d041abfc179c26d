"""How likely a study finds a preference that is there, and how many pairs that takes.

The variance of a share is that of `audits.planning`: pairs differ, participants differ, and each answer has its own
chance. The power is that of a two-sided test at the level that Holm's correction leaves the smallest of the p.
"""

import math
from dataclasses import dataclass

from app.audits.planning import USUAL_BETWEEN_PEOPLE, Design
from method.student import student_quantile, two_sided

LEVEL = 0.05
BETWEEN_PAIRS = 0.2
"""Images of one pair differ, and people see the same difference: more of the variance lies between pairs than in audits."""
WANTED = 0.8
MOST_PAIRS = 20_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study of so many pairs and participants would tell about one dimension."""

    pairs: int
    people: int
    share: float
    half_width: float
    power: float
    pairs_needed: int | None
    questions: int


def plan(
    *, pairs: int, people: int, share: float, dimensions: int, judges: int | None = None
) -> Plan:
    """The width of the 95 % interval around a share, the power to tell it from one half, and the fewest pairs with
    a power of 80 %; None where no number is enough. So many `judges` answer about each pair (None: everyone).
    """
    judges = people if judges is None else min(judges, people)
    return Plan(
        pairs=pairs,
        people=people,
        share=share,
        half_width=_design(share, people, judges).half_width(pairs),
        power=_power(share, pairs, people, judges, dimensions),
        pairs_needed=_pairs_needed(share, people, judges, dimensions),
        questions=round(pairs * judges / people) * dimensions,
    )


def _design(share: float, people: int, judges: int) -> Design:
    return Design(
        accuracy=share,
        labels=1,
        people=people,
        judges=judges,
        between_images=BETWEEN_PAIRS,
        between_people=USUAL_BETWEEN_PEOPLE,
    )


def _power(share: float, pairs: int, people: int, judges: int, dimensions: int) -> float:
    freedom = max(1, people - 1)
    error = _design(share, people, judges).half_width(pairs) / student_quantile(
        1 - LEVEL / 2, freedom
    )
    away = abs(share - 0.5) / error
    bar = student_quantile(1 - LEVEL / dimensions / 2, freedom)
    return _below(away - bar, freedom)


def _below(t: float, freedom: float) -> float:
    """The probability that Student's t falls below this."""
    outside = two_sided(abs(t), freedom) / 2
    return 1 - outside if t > 0 else outside


def _pairs_needed(share: float, people: int, judges: int, dimensions: int) -> int | None:
    low, high = 1, MOST_PAIRS
    if math.isclose(share, 0.5) or _power(share, high, people, judges, dimensions) < WANTED:
        return None
    while low < high:
        middle = (low + high) // 2
        if _power(share, middle, people, judges, dimensions) >= WANTED:
            high = middle
        else:
            low = middle + 1
    return low

"""Which of two pictures is preferred by the attributes counted in them."""

from dataclasses import dataclass
from typing import Any, Literal

Verdict = Literal["first", "second", "tie", "too_close"]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many negative and how many positive attributes a picture has."""

    negative: int
    positive: int

    @property
    def rank(self) -> tuple[int, int]:
        """Smaller is better: fewer negatives first, then more positives."""
        return self.negative, -self.positive


def compare(first: Counts, second: Counts, min_difference: int) -> Verdict:
    """Fewer negatives win; where they are equal, more positives; where both are, it is a tie.

    The count that decides must differ by `min_difference` at least, or the two are too close.
    """
    negatives = second.negative - first.negative
    positives = first.positive - second.positive
    lead = negatives or positives
    if lead == 0:
        return "tie"
    if abs(lead) < min_difference:
        return "too_close"
    return "first" if lead > 0 else "second"


def describe(winner: Counts, loser: Counts) -> dict[str, Any]:
    """The reason of a pair decided by counts, as it stands in the pair dataset."""
    return {
        "negative": {"winner": winner.negative, "loser": loser.negative},
        "positive": {"winner": winner.positive, "loser": loser.positive},
    }

"""Coarser labels in place of the attributes: the Scalar and Binary rewards of Table 2.

The paper gives each of the two half a sentence: one score averaged over the root dimensions, one
win-or-lose label for each of them. This is our reading (decision 21): both stages stay what they are
and see coarser words in A_pos and A_neg. Needs no torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from statistics import median

from taxonomy.tree import Criteria

HIGH = "high quality"
LOW = "low quality"

Names = tuple[list[str], list[str]]
"""What stands in A_pos, and what stands in A_neg."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How many positive and negative attributes an image has in one root dimension."""

    positive: int
    negative: int


Tallies = Mapping[str, Tally]
"""By the name of the root dimension, in tree order; dimensions without a label are not there."""


def count_labels(
    criteria: Criteria, positive_keys: Iterable[str], negative_keys: Iterable[str]
) -> Tallies:
    """Count an image's labels by root dimension. Raises KeyError for what is no pair's key."""
    good = [criteria.root_of(criteria.pair(key).key).key for key in positive_keys]
    bad = [criteria.root_of(criteria.pair(key).key).key for key in negative_keys]
    return {
        root.name: Tally(good.count(root.key), bad.count(root.key))
        for root in criteria.dimensions
        if root.key in good or root.key in bad
    }


def binary_labels(tallies: Tallies) -> Names:
    """One label for each dimension: good if most of its labels are positive, poor if most are negative.

    Half and half says nothing about which side wins, so such a dimension gets none.
    """
    return (
        [f"good {name}" for name, each in tallies.items() if each.positive > each.negative],
        [f"poor {name}" for name, each in tallies.items() if each.positive < each.negative],
    )


def score(tallies: Tallies) -> Fraction | None:
    """The mean over the dimensions of each one's share of positive labels, in [0, 1].

    None for an image without labels. Exact, so that equal images have equal scores.
    """
    if not tallies:
        return None
    shares = [Fraction(each.positive, each.positive + each.negative) for each in tallies.values()]
    return sum(shares, Fraction()) / len(shares)


def median_score(images: Iterable[Tallies]) -> Fraction | None:
    """The score that half of the images reach; None where no image has labels."""
    scores = [found for each in images if (found := score(each)) is not None]
    return median(scores) if scores else None


def scalar_labels(tallies: Tallies, typical: Fraction) -> Names:
    """One label for the whole image: high above the typical score, low below it.

    An image exactly there, as many are where most have no flaw at all, goes by whether its good
    outweighs its bad; where that is even too, it gets no label.
    """
    found = score(tallies)
    if found is None:
        return [], []
    lead = (found - typical) or (found - Fraction(1, 2))
    return [HIGH] if lead > 0 else [], [LOW] if lead < 0 else []

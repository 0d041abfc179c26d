"""The exact world's attributes as criteria, and the coarser words that the rewards of Table 2 make of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.miniature.world import FLAWS, MERITS, WORDS
from taxonomy.tree import Attribute, Criteria, Dimension, Pair
from worker.training.reducing import HIGH, LOW

DIMENSIONS = {"color": (0, 3), "form": (1, 5), "space": (2, 4)}
"""Root dimensions, with the places of their attributes."""
KEYS = tuple(merit.replace(" ", "-") for merit in MERITS)
"""The key of each pair of merit and flaw."""
REWARDS = (HIGH, LOW, *(f"{side} {name}" for side in ("good", "poor") for name in DIMENSIONS))
"""What `text.reducer` scalar and binary write in place of attributes."""
SPOKEN = (*WORDS, *REWARDS)
"""Every word that the network is told."""
CRITERIA = Criteria(
    "miniature",
    dimensions=tuple(
        Dimension(
            name,
            name,
            pairs=tuple(
                Pair(KEYS[place], "opposed", Attribute(MERITS[place]), Attribute(FLAWS[place]))
                for place in places
            ),
        )
        for name, places in DIMENSIONS.items()
    ),
)


def words_of(texts: Sequence[str]) -> Tensor:
    """The words of texts as trainers write them, comma lists, (B, V) and rewards behind. Raises KeyError for others."""
    places = {word: place for place, word in enumerate(SPOKEN)}
    found = torch.zeros(len(texts), len(SPOKEN))
    for row, text in enumerate(texts):
        for word in filter(None, text.split(", ")):
            found[row, places[word]] = 1
    return found

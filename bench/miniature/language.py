"""The words of a world: prompts, merits and flaws, and what rewards make of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from taxonomy.tree import Attribute, Criteria, Dimension, Pair
from worker.training.reducing import HIGH, LOW


@dataclass(frozen=True)
class Language:
    """All that can be said of a world's pictures."""

    name: str
    prompts: tuple[str, ...]
    merits: tuple[str, ...]
    flaws: tuple[str, ...]
    """The other side of each merit."""
    dimensions: Mapping[str, tuple[int, ...]]
    """Root dimensions, with the places of their attributes."""

    @cached_property
    def words(self) -> tuple[str, ...]:
        """What is true of a picture or not: prompts first, then the good and the bad side of each attribute."""
        return (*self.prompts, *self.merits, *self.flaws)

    @cached_property
    def rewards(self) -> tuple[str, ...]:
        """What `text.reducer` scalar and binary write in place of attributes (Table 2)."""
        return (
            HIGH,
            LOW,
            *(f"{side} {name}" for side in ("good", "poor") for name in self.dimensions),
        )

    @cached_property
    def spoken(self) -> tuple[str, ...]:
        """Every word that a network is told."""
        return (*self.words, *self.rewards)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The key of each pair of merit and flaw."""
        return tuple(merit.replace(" ", "-") for merit in self.merits)

    @cached_property
    def criteria(self) -> Criteria:
        """The attributes as a tree."""

        def pair(place: int) -> Pair:
            good, bad = Attribute(self.merits[place]), Attribute(self.flaws[place])
            return Pair(self.keys[place], "opposed", good, bad)

        return Criteria(
            self.name,
            dimensions=tuple(
                Dimension(name, name, pairs=tuple(map(pair, places)))
                for name, places in self.dimensions.items()
            ),
        )

    def words_of(self, texts: Sequence[str]) -> Tensor:
        """The words of texts as trainers write them, comma lists, (B, V), V being all that are spoken.

        Raises KeyError for others.
        """
        places = {word: place for place, word in enumerate(self.spoken)}
        found = torch.zeros(len(texts), len(self.spoken))
        for row, text in enumerate(texts):
            for word in filter(None, text.split(", ")):
                found[row, places[word]] = 1
        return found

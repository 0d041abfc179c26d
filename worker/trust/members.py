"""What several runs say of an attribute of an image, as one statement."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from app.agents.sides import side_of
from taxonomy.tree import Criteria, Pair, Polarity
from worker.trust.learning import SAID, SILENT, UNABLE, Statement

Said = Mapping[int, Mapping[int, float | None]]
"""Of one image: by run that looked at it, how sure that is of each side that it says holds."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a side stands in the criteria: the key of its pair, of its dimension and of its root dimension."""

    key: str
    polarity: Polarity
    dimension: str
    root: str


def places_in(criteria: Criteria, nodes: Mapping[str, int]) -> dict[int, Place]:
    """Where each side of a pair in use stands, by its number; `nodes` are the ids of the pairs by key."""
    found: dict[int, Place] = {}
    for entry in criteria.walk():
        if not isinstance(entry.node, Pair) or entry.retired or entry.node.key not in nodes:
            continue
        for sign in (1, -1):
            number = sign * nodes[entry.node.key]
            parent = entry.parent.key if entry.parent else entry.root.key
            found[number] = Place(entry.node.key, side_of(number)[1], parent, entry.root.key)
    return found


@dataclass(frozen=True, slots=True)
class Members:
    """Several runs, which sides each could have proposed, and where sides stand in the criteria in force."""

    runs: Sequence[int]
    decides: Sequence[frozenset[int]]
    places: Mapping[int, Place]

    def statement(self, said: Said, side: int) -> Statement:
        """What the runs say of one side of an image."""
        place = self.places[side]
        confidence = tuple(said.get(run, {}).get(side) for run in self.runs)
        return Statement(self._pattern(said, side), confidence, side, place.dimension, place.root)

    def statements(self, said: Said) -> Iterator[tuple[int, Statement]]:
        """What at least one of the runs says holds of an image, by side; nothing that left the criteria."""
        sides = {side for of_run in said.values() for side in of_run}
        for side in sorted(sides & self.places.keys()):
            yield side, self.statement(said, side)

    def _pattern(self, said: Said, side: int) -> str:
        return "".join(
            self._sign(said.get(run), side, decides)
            for run, decides in zip(self.runs, self.decides, strict=True)
        )

    @staticmethod
    def _sign(of_run: Mapping[int, float | None] | None, side: int, decides: frozenset[int]) -> str:
        if of_run is None:
            return UNABLE
        return SAID if side in of_run else SILENT if side in decides else UNABLE

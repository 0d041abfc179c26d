"""How often the words of a search are among a project's images, judged by a sample, and what follows for asking.

The index on words collects all images that have any word that begins with what was typed, before it looks for those
that have the others too: `with` costs as much as it has images, however rare `with 77` is. So it is asked for the rare
words alone, the others are looked for in what it finds, and where all are frequent it is not asked.
"""

from dataclasses import dataclass, replace
from math import prod

from sqlalchemy import ColumnElement, text, true
from sqlalchemy.orm import Session

from app.images.searching import as_tsquery, is_found
from app.projects.models import Project
from taxonomy.folding import Query

STRETCHES, IN_STRETCH = 8, 50
"""The sample: so many stretches of images, evenly spread over the project, with so many images each."""
FEWEST = 8
"""Images of the sample that have to have all words for them to be called frequent: fewer may be chance."""
# What reading an image costs beside collecting one from the index.
READING = 15


@dataclass(frozen=True, slots=True)
class Rarity:
    """The share of images that have each token of a query, and how many of `sampled` have all that is asked for."""

    query: Query
    shares: tuple[float, ...]
    sampled: int
    found: int

    def is_above(self, number: int, images: int) -> bool:
        """Whether of so many images surely more than a number are found."""
        return self.found >= FEWEST and self.found * images > 3 * number * self.sampled

    def conditions(self) -> list[ColumnElement[bool]]:
        """What holds of the images that are found, such that the index is asked for what costs least."""
        order = sorted(range(len(self.shares)), key=self.shares.__getitem__)
        ways = [order[: number + 1] for number in range(len(order))]
        asked = min(ways, key=self._cost)
        if len(asked) == len(order):
            return [is_found(self.query)]
        some = replace(self.query, tokens=tuple(self.query.tokens[each] for each in asked))
        return [is_found(some), is_found(self.query).is_(true())]

    def _cost(self, places: list[int]) -> float:
        shares = [self.shares[each] for each in places]
        return sum(shares) + READING * prod(shares)


def judge(db: Session, project: Project, query: Query) -> Rarity:
    """Look for the words of a query that is not empty in a sample of a project's images; one statement."""
    alone = [as_tsquery(replace(query, tokens=(token,), whole="")) for token in query.tokens]
    asked = {f"words_{place}": each for place, each in enumerate([*alone, as_tsquery(query)])}
    counts = ", ".join(
        f"count(*) FILTER (WHERE search @@ CAST(:{each} AS tsquery))" for each in asked
    )
    values = {**asked, "project": project.id, "stretches": STRETCHES, "length": IN_STRETCH}
    sampled, *numbers = db.execute(text(_SAMPLE.format(counts=counts)), values).one()
    shares = tuple((number + 0.5) / (sampled + 1) for number in numbers[:-1])
    return Rarity(query, shares, sampled, numbers[-1])


_SAMPLE = """
    WITH ends AS MATERIALIZED (
        SELECT min(id) AS low, max(id) AS high FROM image WHERE project_id = :project
    )
    SELECT count(*), {counts} FROM ends CROSS JOIN generate_series(0, :stretches - 1) AS number
    CROSS JOIN LATERAL (
        SELECT search FROM image
        WHERE project_id = :project AND id >= low + (high - low) * number / :stretches ORDER BY id LIMIT :length
    ) AS image
"""

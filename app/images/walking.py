"""Walks the images of a narrowing in the order of their ids, some ids at a time.

However rare what is asked for is, and wherever it lies, a statement looks at the labels of one stretch of
ids alone: how long the walk takes depends on what it finds, not on a guess of the database, which knows
nothing of work that is done in order.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from sqlalchemy import ColumnElement, func, literal, select, tuple_
from sqlalchemy.orm import Session

from app.images.counting import count_kinds
from app.images.models import Image
from app.images.narrowing import Prepared, between, find_start, narrowed
from app.projects.models import Project

SHORTEST, LONGEST = 1_000, 250_000
"""Ids that one statement looks at, fewest and most."""
GROWTH = 4
WHOLE = 30_000
"""Ids of a project that are counted in one statement, however long it takes."""
COUNTED_FOR, SLICE = 0.08, 0.02
"""Seconds for which images of a larger project are counted, and that one statement of it is to take."""


@dataclass(frozen=True, slots=True)
class Walk:
    """The images of a project for which all `conditions` hold, and which a narrowing finds. Those for which `indexed`
    ones hold, which are among the conditions, an index knows in their order: what lies before the first is not looked at.
    """

    db: Session
    project: Project
    prepared: Prepared
    conditions: Sequence[ColumnElement[bool]]
    indexed: Sequence[ColumnElement[bool]] = ()

    def find(
        self, wanted: Any, start: int | None, limit: int, *, backwards: bool = False
    ) -> list[Any]:
        """The first `limit` of the images (or of what is `wanted` of them) behind `start`, or in front of it."""
        first, last = self._ends()
        at = start if start is not None else (last + 1 if backwards else first - 1)
        length, found = self._first_stretch(limit), list[Any]()
        skips = not backwards
        while len(found) < limit and (at > first if backwards else at < last):
            if skips:
                at = self._start(at, last)
            low, high = (at - 1 - length, at - 1) if backwards else (at, at + length)
            statement = (
                select(wanted)
                .where(*self.conditions, *narrowed(self.project, self.prepared, between(low, high)))
                .order_by(Image.id.desc() if backwards else Image.id)
                .limit(limit - len(found))
            )
            here = list(self.db.scalars(statement))
            found += here
            # Where nothing was found for long, as before the first image that waits, there is a way across.
            skips = not backwards and not here
            at = low + 1 if backwards else high
            length = min(GROWTH * length, LONGEST)
        return found

    def count(self, limit: int) -> tuple[int, bool]:
        """How many images there are, up to `limit`, and whether there may be more: of a large project no longer is
        counted than somebody waits for.
        """
        first, last = self._ends()
        at, number, skips = first - 1, 0, True
        length = WHOLE if last - first < WHOLE else SHORTEST
        until = time.perf_counter() + COUNTED_FOR
        while at < last and number < limit:
            if skips:
                at = self._start(at, last)
            began = time.perf_counter()
            here = self._count_between(at, at + length, limit - number)
            number, at, skips = number + here, at + length, not here
            now = time.perf_counter()
            if now > until:
                break
            # The next one takes about a slice, if what is asked for lies as it did here.
            growth = min(max(SLICE / (now - began), 1 / GROWTH), GROWTH)
            length = round(min(max(growth * length, SHORTEST), LONGEST))
        return number, at < last

    def _start(self, after: int, last: int) -> int:
        if self.indexed:
            # Compared as rows, which the index of these images alone can do: a prepared statement would else read the primary
            # key through all that lies before.
            place = (Image.project_id, Image.id)
            behind = tuple_(*place) > tuple_(literal(self.project.id), literal(after))
            first = select(Image.id).where(*self.indexed, behind).order_by(*place).limit(1)
            found = self.db.scalar(first)
            after = last if found is None else found - 1
        return (
            after
            if after >= last
            else find_start(self.db, self.project, self.prepared, after, last)
        )

    def _count_between(self, low: int, high: int, limit: int) -> int:
        here = narrowed(self.project, self.prepared, between(low, high))
        some = select(Image.id).where(*self.conditions, *here).limit(limit).subquery()
        return self.db.scalar(select(func.count()).select_from(some)) or 0

    def _ends(self) -> tuple[int, int]:
        ends = select(func.min(Image.id), func.max(Image.id))
        first, last = self.db.execute(ends.where(Image.project_id == self.project.id)).one()
        return first or 0, last or 0

    def _first_stretch(self, limit: int) -> int:
        """About as many ids as hold what is wanted, if it lay evenly."""
        images = max(1, count_kinds(self.db, self.project).used)
        share = prod(min(1.0, number / images) for number in self.prepared.numbers)
        return round(min(max(1.2 * limit / max(share, 1e-6), SHORTEST), LONGEST))

"""The bench of the labels' tests, and images to hand out."""

import pytest

from app.accounts.models import Person
from app.labels.saving import set_done
from app.queue.handing_out import claim_next
from tests.app.labels.conftest import Bench, bench

__all__ = ["bench"]


class Queue:
    """A bench whose images are asked for by several people."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench

    def hang(self, number: int) -> list[int]:
        """So many images more; returns the ids of all that hang."""
        more = [self.bench.make.image(self.bench.project).id for _ in range(number)]
        return [self.bench.image.id, *more]

    def next_for(self, person: Person, after: int = 0) -> int | None:
        found = claim_next(self.bench.db, self.bench.project, person, after=after)
        self.bench.db.commit()
        return found

    def finish(self, image_id: int, person: Person) -> None:
        set_done(self.bench.db, self.bench.project, image_id, done=True, by=person)
        self.bench.db.commit()


@pytest.fixture
def queue(bench: Bench) -> Queue:
    return Queue(bench)

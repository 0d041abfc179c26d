"""The bench of the labels' tests with an image that Ben has finished, and a second reading of it."""

from typing import Any
from uuid import uuid4

import pytest

from app.accounts.models import Person
from app.labels.saving import set_done
from app.readings import answering, asking, settling
from app.readings.models import SecondReading
from tests.app.labels.conftest import Bench, bench

__all__ = ["bench"]


class Table:
    """Ben reads first, Ada second, Lea settles; short verbs with sensible defaults."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.ben, self.ada, self.lea = bench.people.ben, bench.people.ada, bench.people.lea

    def first(self, **states: str) -> None:
        """Ben decides positive attributes of the image at hand and finishes it."""
        self.bench.propose(*((key, "positive") for key in states))
        for key, state in states.items():
            self.bench.save(key, state)
        set_done(self.bench.db, self.bench.project, self.bench.image.id, done=True, by=self.ben)
        self.bench.db.commit()

    def ask(self, **how: Any) -> SecondReading:
        wanted: dict[str, Any] = {"percent": 100, "decoy_percent": 0, "by": self.lea} | how
        reading = asking.ask(self.bench.db, self.bench.project, **wanted)
        self.bench.db.commit()
        return reading

    def claim(self, person: Person | None = None) -> int | None:
        found = answering.claim_next(self.bench.db, self.bench.project, person or self.ada)
        self.bench.db.commit()
        return found

    def answer(self, read_id: int, key: str, state: Any, **more: Any) -> answering.Said:
        values: dict[str, Any] = {
            "polarity": "positive",
            "operation_id": uuid4(),
            "by": self.ada,
        } | more
        said = answering.answer(
            self.bench.db, self.bench.project, read_id, key=key, state=state, **values
        )
        self.bench.db.commit()
        return said

    def read(self, read_id: int, **states: str) -> None:
        """Ada answers positive attributes and is done."""
        for key, state in states.items():
            self.answer(read_id, key, state)
        answering.finish(self.bench.db, self.bench.project, read_id, done=True, by=self.ada)
        self.bench.db.commit()

    def settle(self, read_id: int, key: str, state: Any, **more: Any) -> answering.Said:
        values: dict[str, Any] = {
            "polarity": "positive",
            "operation_id": uuid4(),
            "by": self.lea,
        } | more
        said = settling.settle(
            self.bench.db, self.bench.project, read_id, key=key, state=state, **values
        )
        self.bench.db.commit()
        return said


@pytest.fixture
def table(bench: Bench) -> Table:
    return Table(bench)

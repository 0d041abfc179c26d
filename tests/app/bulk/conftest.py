"""A bench of several images, and bulk actions on them with sensible defaults."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from app.bulk import asking, looking, taking, undoing
from app.bulk.asking import Wish, ask, ask_to_take, ask_to_undo
from app.bulk.models import BulkAction
from app.bulk.reading import find_images
from app.images.models import Image
from app.jobs.models import Job
from app.labels.models import Label, LabelEvent
from app.labels.saving import save
from tests.app.labels.conftest import Bench, bench
from worker import bulk_acting, ledger

__all__ = ["bench"]


@dataclass
class Many:
    """Several images of a project, and what is done to all of them."""

    bench: Bench
    images: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        more = [self.bench.make.image(self.bench.project).id for _ in range(5)]
        self.images = [self.bench.image.id, *more]

    def image(self, at: int) -> Image:
        return self.bench.db.get_one(Image, self.images[at], populate_existing=True)

    def ask(self, kind: str, key: str = "", polarity: str = "positive", **more: Any) -> BulkAction:
        if key:
            more |= {"key": key, "polarity": polarity}
        by = more.pop("by", self.bench.people.lea)
        action = ask(self.bench.db, self.bench.project, Wish(kind, **more), by=by)
        self.bench.db.commit()
        return action

    def take(self, action: BulkAction) -> BulkAction:
        taken = ask_to_take(self.bench.db, self.bench.project, action.id, by=self.bench.people.lea)
        self.bench.db.commit()
        return taken

    def undo(self, action: BulkAction) -> BulkAction:
        undone = ask_to_undo(self.bench.db, self.bench.project, action.id, by=self.bench.people.lea)
        self.bench.db.commit()
        return undone

    def do(self, kind: str, key: str = "", polarity: str = "positive", **more: Any) -> BulkAction:
        return self.take(self.ask(kind, key, polarity, **more))

    def save(self, at: int, key: str, state: Any, polarity: str = "positive") -> None:
        save(
            self.bench.db,
            self.bench.project,
            self.images[at],
            key=key,
            polarity=polarity,
            state=state,
            based_on=self.image(at).label_revision,
            operation_id=uuid4(),
            by=self.bench.people.ben,
        )
        self.bench.db.commit()

    def propose(self, *at: int, key: str = "bright") -> None:
        for each in at:
            self.bench.propose((key, "positive"), image=self.image(each))

    def states(self, key: str = "bright", polarity: str = "positive") -> list[str | None]:
        rows = self.bench.db.execute(
            select(Label.image_id, Label.state).where(
                Label.node_id == self.bench.nodes[key].id, Label.polarity == polarity
            )
        )
        found = dict(rows.all())
        return [found.get(each) for each in self.images]

    def effects(self, action: BulkAction, which: str) -> list[int]:
        found = find_images(self.bench.db, action, which)
        return [self.images.index(each.image_id) for each in found]

    def labels(self) -> dict[tuple[int, int, str], dict[str, Any]]:
        """All labels whole, but for the revision that their images had."""
        self.bench.db.expire_all()
        columns = [each for each in Label.__table__.columns if each.name not in ("id", "revision")]
        rows = self.bench.db.execute(select(*columns)).mappings()
        return {(row["image_id"], row["node_id"], row["polarity"]): dict(row) for row in rows}

    def events(self, at: int) -> Sequence[LabelEvent]:
        return self.bench.db.scalars(
            select(LabelEvent).where(LabelEvent.image_id == self.images[at]).order_by(LabelEvent.id)
        ).all()

    def work(self) -> list[str]:
        """A worker does what waits; returns how each job ended."""
        self.bench.db.commit()
        ids = self.bench.db.scalars(select(Job.id).where(Job.state == "queued")).all()
        self.bench.db.rollback()
        for job_id in ids:
            assert ledger.run(job_id, {"bulk": bulk_acting.run})
        self.bench.db.expire_all()
        ended = self.bench.db.scalars(select(Job.state).where(Job.id.in_(ids))).all()
        self.bench.db.rollback()
        return list(ended)


@pytest.fixture
def many(bench: Bench) -> Many:
    return Many(bench)


@pytest.fixture
def by_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even few images are many: each step is a job, two images a transaction."""
    monkeypatch.setattr(asking, "AT_ONCE", 1)
    for module in (looking, taking, undoing):
        monkeypatch.setattr(module, "BATCH", 2)


def facts(action: BulkAction) -> dict[str, Any]:
    """What looking came to, without the version."""
    assert action.found is not None
    return {name: number for name, number in action.found.items() if name != "version"}

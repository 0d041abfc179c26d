"""A publication that concerns many labels leaves the counting of contradictions to a job."""

import pytest
from sqlalchemy import select

from app.criteria.merging import NewPair, merge
from app.jobs.models import Job
from app.labels import contradicting
from app.labels.models import ImageContradiction
from app.labels.recounting import find_drift
from app.versions.publishing import publish
from taxonomy.tree import Attribute
from tests.app.labels.conftest import Bench
from worker import contradicting as counting
from worker import ledger

NEW = NewPair("graded", Attribute("Both", "Seen."), Attribute("Neither", "Not seen."))


def merge_and_publish(bench: Bench) -> int:
    """The opposed sides that contradicted one another are graded ones of a new pair then."""
    bench.propose(("bright", "positive"), ("bright", "negative"))
    seen = {key: bench.nodes[key].revision for key in ("bright", "dark")}
    merge(bench.db, bench.project, [*seen], into=NEW, based_on=seen, by=bench.people.ada)
    publish(bench.db, bench.project, by=bench.people.ada)
    bench.db.commit()
    return kept(bench)


def kept(bench: Bench) -> int:
    number = select(ImageContradiction.number).where(ImageContradiction.image_id == bench.image.id)
    return bench.db.scalar(number) or 0


def test_few_are_counted_at_once(bench: Bench) -> None:
    assert merge_and_publish(bench) == 0
    assert bench.db.scalars(select(Job).where(Job.kind == contradicting.JOB)).all() == []


def test_many_are_counted_by_a_job(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contradicting, "MANY", 1)
    monkeypatch.setattr(contradicting, "BATCH", 2)
    others = [bench.make.image(bench.project) for _ in range(5)]
    for image in others:
        bench.propose(("bright", "positive"), ("bright", "negative"), image=image)
    assert merge_and_publish(bench) == 1
    job = bench.db.scalars(select(Job).where(Job.kind == contradicting.JOB)).one()
    assert ledger.run(job.id, {job.kind: counting.run})
    bench.db.expire_all()
    assert kept(bench) == 0
    assert [each.groups for each in find_drift(bench.db)] == [0] * len(find_drift(bench.db))
    assert job.result == {"images": 6}
    # What comes after the publication is counted as ever.
    bench.save("circle", "confirmed", "negative")
    assert kept(bench) == 1

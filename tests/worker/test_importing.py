"""Import jobs through the ledger: done once, resumable, and failing in words."""

from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.images import image_files
from app.images import importing as imports
from app.images.importing import start_import
from app.images.models import Image, ImageImport
from app.images.sources import folder_source
from app.jobs import claiming
from app.jobs.models import Job
from tests.app.images import corpus
from tests.factories import Make
from worker import importing, ledger

HANDLERS: dict[str, ledger.Handler] = {"import": importing.run}


@pytest.fixture(autouse=True)
def _small_batches(own_storage: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imports, "BATCH_FILES", 2)


@pytest.fixture
def job(db: Session, make: Make, tmp_path: Path) -> Job:
    """A waiting import of five images, one of them twice, and a page named like an image."""
    folder = tmp_path / "from"
    folder.mkdir()
    for seed in range(5):
        (folder / f"{seed}.png").write_bytes(corpus.png(seed))
    (folder / "again.png").write_bytes(corpus.png(3))
    (folder / "page.jpg").write_bytes(corpus.HTML)
    _, job = start_import(db, make.project(), folder_source(str(folder)), by=None)
    db.commit()
    return job


def outcome(db: Session, job: Job) -> tuple[str, int, int, int]:
    db.expire_all()
    row = db.scalars(select(ImageImport).where(ImageImport.job_id == job.id)).one()
    return job.state, row.added, row.duplicates, row.refused


def test_imports_and_tells_how_far_it_is(db: Session, job: Job) -> None:
    assert ledger.run(job.id, HANDLERS)
    assert outcome(db, job) == ("succeeded", 5, 1, 1)
    assert job.result == {"added": 5, "duplicates": 1, "refused": 1}
    assert (job.progress["done"], job.progress["total"]) == (7, 7)
    assert job.progress["rate"] > 0


def test_a_doubled_message_does_nothing(db: Session, job: Job) -> None:
    assert ledger.run(job.id, HANDLERS)
    assert not ledger.run(job.id, HANDLERS)
    assert len(db.scalars(select(Image)).all()) == 5


def test_another_worker_goes_on_where_a_killed_one_was(
    db: Session, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = iter(range(100))
    real = image_files.keep

    class Killed(BaseException):
        pass

    def keep(data: bytes) -> image_files.Kept:
        if next(stored) == 3:
            raise Killed
        return real(data)

    monkeypatch.setattr(image_files, "keep", keep)
    with pytest.raises(Killed):
        ledger.run(job.id, HANDLERS)
    monkeypatch.setattr(image_files, "keep", real)
    state, added, _, _ = outcome(db, job)
    assert state == "running" and 0 < added < 5
    with unit_of_work() as session:
        session.execute(update(Job).values(state="queued", lease_until=None, owner=None))
    assert ledger.run(job.id, HANDLERS)
    assert outcome(db, job) == ("succeeded", 5, 1, 1)


def test_a_stale_worker_writes_nothing_more(
    db: Session, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = image_files.keep

    def keep(data: bytes) -> image_files.Kept:
        # The lease ran out and another worker holds the job by now.
        with unit_of_work() as session:
            session.execute(update(Job).values(attempt=Job.attempt + 1))
        return real(data)

    monkeypatch.setattr(image_files, "keep", keep)
    ledger.run(job.id, HANDLERS)
    assert outcome(db, job)[1] == 0


def test_a_cancelled_import_keeps_what_came_in(
    db: Session, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = iter(range(100))

    def check(work: ledger.Work) -> None:
        if next(checks) == 1:
            raise ledger.Stopped("cancelled")

    monkeypatch.setattr(ledger.Work, "check", check)
    ledger.run(job.id, HANDLERS)
    state, added, _, _ = outcome(db, job)
    assert state == "cancelled" and added == 2


def test_a_folder_that_is_gone_fails_in_words(db: Session, job: Job, tmp_path: Path) -> None:
    (tmp_path / "from").rename(tmp_path / "elsewhere")
    ledger.run(job.id, HANDLERS)
    assert outcome(db, job)[0] == "failed"
    assert "is not there any more" in str(job.error)


def test_a_storage_that_does_not_answer_is_tried_again(
    db: Session, job: Job, tmp_path: Path
) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "images").mkdir()
    (tmp_path / "home" / "images" / "originals").write_text("a file where a folder has to be")
    ledger.run(job.id, HANDLERS)
    assert outcome(db, job) == ("queued", 0, 0, 0)
    assert job.failures == 1
    (tmp_path / "home" / "images" / "originals").unlink()
    with unit_of_work() as session:
        session.execute(update(Job).values(not_before=Job.created_at))
    assert ledger.run(job.id, HANDLERS)
    assert outcome(db, job) == ("succeeded", 5, 1, 1)


def test_a_job_whose_attempt_is_over_is_fenced(db: Session, job: Job) -> None:
    with unit_of_work() as session:
        session.execute(update(Job).values(state="running", attempt=2, lease_until=Job.created_at))
    work = ledger.Work(job.id, 1, job.project_id, job.spec)
    with pytest.raises(ledger.Stopped, match="fenced"):
        importing.run(work)
    with pytest.raises(claiming.Fenced), unit_of_work() as session:
        claiming.fence(session, job.id, 1)

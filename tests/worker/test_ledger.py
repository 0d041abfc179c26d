"""Jobs run once and survive: claims, leases, fences, cancel, failure, the sweeper."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.database import Json, unit_of_work
from app.errors import Conflict
from app.jobs import claiming, queueing
from app.jobs.models import Job, JobEvent
from app.projects.models import Project
from tests.factories import Make
from worker import ledger
from worker.ledger import JobFailed, JobPaused, Stopped, Work


@pytest.fixture(autouse=True)
def _quick_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(ledger, "REPORT_SECONDS", 0.0)


def run(job: Job, handler: Callable[[Work], Json | None]) -> bool:
    return ledger.run(job.id, {"test": handler})


def state(db: Session, job: Job) -> Job:
    db.rollback()
    db.refresh(job)
    return job


def test_a_job_is_done_and_keeps_its_result(db: Session, make: Make) -> None:
    job = make.job(None)
    assert run(job, lambda work: {"answer": 42})
    after = state(db, job)
    assert (after.state, after.result, after.attempt) == ("succeeded", {"answer": 42}, 1)


def test_a_doubled_message_does_nothing(db: Session, make: Make) -> None:
    job = make.job(None)
    times = []
    assert run(job, lambda work: times.append(1))
    assert not run(job, lambda work: times.append(2))
    assert times == [1]


def test_many_workers_claim_one_job_once(db: Session, make: Make) -> None:
    job = make.job(None)
    begun = threading.Barrier(6)
    claimed: list[int] = []

    def claim() -> None:
        begun.wait()
        with unit_of_work() as own:
            got = claiming.claim(own, job.id, owner="x")
            if got is not None:
                claimed.append(got.attempt)

    threads = [threading.Thread(target=claim) for _ in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert claimed == [1]


def test_a_stale_attempt_writes_nothing(db: Session, make: Make) -> None:
    project = make.project()
    job = make.job(None)

    def overtaken(work: Work) -> None:
        with unit_of_work() as other:
            other.execute(update(Job).where(Job.id == work.job_id).values(attempt=work.attempt + 1))
        with pytest.raises(Stopped), work.transaction() as own:
            own.add(Job(kind="written by a stale worker", spec={}, project_id=project.id))
        raise Stopped("fenced")

    run(job, overtaken)
    assert db.scalar(select(Job).where(Job.kind == "written by a stale worker")) is None
    assert state(db, job).state == "running"  # it belongs to the other attempt now


def test_cancel_reaches_a_running_job(db: Session, make: Make) -> None:
    project = make.project()
    job = make.job(project)

    def wait_for_cancel(work: Work) -> None:
        with unit_of_work() as other:
            queueing.request_cancel(other, project, job.id)
        for _ in range(200):
            work.check()
            work.report(done=1, total=2)
            threading.Event().wait(0.02)

    run(job, wait_for_cancel)
    assert state(db, job).state == "cancelled"


def test_pause_reaches_a_running_job_and_a_cancel_overrides_it(db: Session, make: Make) -> None:
    project = make.project()

    def ask(*wishes: Callable[[Session, Project, int], Job]) -> str:
        job = make.job(project)

        def wait(work: Work) -> None:
            with unit_of_work() as other:
                for wish in wishes:
                    wish(other, project, job.id)
            for _ in range(200):
                work.check()
                work.report(done=1, total=2)
                threading.Event().wait(0.02)

        run(job, wait)
        return state(db, job).state

    assert ask(queueing.request_pause) == "paused"
    assert ask(queueing.request_pause, queueing.request_cancel) == "cancelled"


def test_a_job_that_is_being_cancelled_is_not_paused(db: Session, make: Make) -> None:
    project = make.project()
    job = make.job(project)

    def wish(work: Work) -> None:
        with unit_of_work() as other:
            queueing.request_cancel(other, project, job.id)
        with pytest.raises(Conflict, match="being cancelled"), unit_of_work() as other:
            queueing.request_pause(other, project, job.id)

    run(job, wish)


def test_what_waits_for_a_person_is_paused_with_the_reason(db: Session, make: Make) -> None:
    project = make.project()
    job = make.job(project)

    def stop(work: Work) -> None:
        raise JobPaused("The budget is spent.")

    run(job, stop)
    found = state(db, job)
    assert (found.state, found.error, found.failures) == ("paused", "The budget is spent.", 0)
    queueing.resume(db, project, job.id)
    db.commit()
    assert run(job, lambda work: None)
    assert (state(db, job).state, state(db, job).error) == ("succeeded", None)


def test_a_waiting_job_is_cancelled_at_once_and_can_be_resumed(db: Session, make: Make) -> None:
    project = make.project()
    job = make.job(project)
    queueing.request_cancel(db, project, job.id)
    db.commit()
    assert not run(job, lambda work: None)
    queueing.resume(db, project, job.id)
    db.commit()
    assert run(job, lambda work: None)
    assert state(db, job).state == "succeeded"


def test_bad_config_is_not_tried_again(db: Session, make: Make) -> None:
    job = make.job(None)

    def fail(work: Work) -> None:
        raise JobFailed("user_config", "There is no such model.")

    run(job, fail)
    after = state(db, job)
    assert (after.state, after.error_class) == ("failed", "user_config")
    assert after.error == "There is no such model."


def test_an_unexpected_failure_is_tried_again_until_it_is_a_poison_job(
    db: Session, make: Make
) -> None:
    job = make.job(None)

    def fail(work: Work) -> None:
        raise RuntimeError("a wire came loose")

    after = job
    for attempt in (1, 2, 3):
        assert run(job, fail)
        after = state(db, job)
        assert after.failures == attempt
        db.execute(update(Job).values(not_before=datetime.now(UTC)))
        db.commit()
    assert after.state == "failed"
    assert "a wire came loose" in str(after.error)
    assert not run(job, fail)


def test_the_sweeper_takes_back_an_expired_lease(db: Session, make: Make) -> None:
    job = make.job(None)
    with unit_of_work() as other:
        claiming.claim(other, job.id, owner="dead")
        other.execute(update(Job).values(lease_until=datetime.now(UTC) - timedelta(seconds=1)))
    with unit_of_work() as other:
        assert claiming.sweep(other) == (1, 1)
    assert state(db, job).state == "queued"
    assert run(job, lambda work: None)
    assert state(db, job).attempt == 2


def test_the_sweeper_sends_a_forgotten_job_again(db: Session, make: Make) -> None:
    job = make.job(None, sent_at=datetime.now(UTC) - timedelta(minutes=1))
    with unit_of_work() as other:
        assert claiming.sweep(other) == (0, 1)
    with unit_of_work() as other:
        assert claiming.sweep(other) == (0, 0)  # once is enough
    assert state(db, job).state == "queued"


def test_jobs_of_killed_workers_of_this_host_are_taken_back_at_once(
    db: Session, make: Make
) -> None:
    dead, alive = make.job(None), make.job(None)
    with unit_of_work() as other:
        claiming.claim(other, dead.id, owner=f"{ledger.HOST}999999999:1")
        claiming.claim(other, alive.id, owner=str(ledger.owner_of(1)))
    assert ledger.take_back_from_dead() == 1
    assert (state(db, dead).state, state(db, alive).state) == ("queued", "running")


def test_shutting_down_gives_the_job_back_without_counting_a_failure(
    db: Session, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make.job(None)
    stopping = threading.Event()
    monkeypatch.setattr(ledger, "shutting_down", stopping)

    def work_until_told(work: Work) -> None:
        stopping.set()
        work.check()

    run(job, work_until_told)
    after = state(db, job)
    assert (after.state, after.failures) == ("queued", 0)


def test_a_training_waits_while_another_has_the_device(db: Session, make: Make) -> None:
    first, second = make.job(None, queue="gpu"), make.job(None, queue="gpu")
    order = []

    def try_second_meanwhile(work: Work) -> None:
        order.append(ledger.run(second.id, {"test": lambda _: None}))

    run(first, try_second_meanwhile)
    assert order == [False]
    assert run(second, lambda work: None)


def test_progress_reaches_the_row(db: Session, make: Make) -> None:
    job = make.job(None)

    def report(work: Work) -> None:
        work.report(done=3, total=10, message="three")

    run(job, report)
    progress = state(db, job).progress
    assert (progress["done"], progress["total"], progress["message"]) == (3, 10, "three")


def test_events_tell_the_story_and_cannot_be_changed(db: Session, make: Make) -> None:
    job = make.job(None)
    run(job, lambda work: None)
    kinds = list(db.scalars(select(JobEvent.kind).where(JobEvent.job_id == job.id)))
    assert kinds == ["started", "succeeded"]
    with pytest.raises(Exception, match="append-only"):
        db.execute(update(JobEvent).values(kind="nothing happened"))
    db.rollback()

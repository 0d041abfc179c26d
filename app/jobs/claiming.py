"""The worker's side of the ledger: claim, heartbeat, fence, finish, and the sweeper's verbs.

Every write names the attempt, so a stale worker can change nothing (fencing token).
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app.database import Json, after_commit
from app.jobs.models import QUEUES, Job
from app.jobs.queueing import record, ring, stopped_state
from app.jobs.wording import for_people

LEASE = timedelta(seconds=60)
OVERDUE = timedelta(seconds=20)
ADVISORY_LOCK = 4_206_002


class Fenced(Exception):
    """Another attempt holds this job now, or it is over: stop, and write nothing."""


def claim(db: Session, job_id: int, *, owner: str, queues: tuple[str, ...] = QUEUES) -> Job | None:
    """Take a waiting job; None where another worker has it, it is over, it is not due, or it is in
    none of these queues.

    One statement decides, whoever else asks at the same moment.
    """
    now = func.clock_timestamp()
    chosen = (
        select(Job.id)
        .where(
            Job.id == job_id,
            Job.state == "queued",
            Job.not_before <= now,
            Job.queue.in_(queues),
        )
        .with_for_update(skip_locked=True)
        .scalar_subquery()
    )
    statement = (
        update(Job)
        .where(Job.id == chosen)
        .values(
            state="running",
            attempt=Job.attempt + 1,
            owner=owner,
            lease_until=now + LEASE,
            heartbeat_at=now,
            started_at=func.coalesce(Job.started_at, now),
        )
        .returning(Job)
    )
    job: Job | None = db.scalars(statement).one_or_none()
    if job is not None:
        record(db, job, "started", f"by {owner}")
    return job


def find_due(db: Session, *, queues: tuple[str, ...], limit: int = 1) -> list[int]:
    """Waiting jobs of these queues, oldest first: what a worker without a broker looks for."""
    now = func.clock_timestamp()
    return list(
        db.scalars(
            select(Job.id)
            .where(Job.state == "queued", Job.not_before <= now, Job.queue.in_(queues))
            .order_by(Job.id)
            .limit(limit)
        )
    )


def heartbeat(db: Session, job_id: int, attempt: int, progress: Json | None = None) -> bool:
    """Renew the lease; returns whether someone wishes to cancel. Raises Fenced."""
    now = func.clock_timestamp()
    values: dict[str, object] = {"lease_until": now + LEASE, "heartbeat_at": now}
    if progress is not None:
        values["progress"] = progress
    state: str | None = db.scalar(
        update(Job)
        .where(Job.id == job_id, Job.attempt == attempt, Job.state.in_(("running", "cancelling")))
        .values(**values)
        .returning(Job.state)
    )
    if state is None:
        raise Fenced(f"job {job_id} is no longer attempt {attempt}")
    return state == "cancelling"


def fence(db: Session, job_id: int, attempt: int) -> Job:
    """Lock the job's row for this transaction. Raises Fenced where the attempt is not the present one."""
    job = db.scalar(
        select(Job)
        .where(Job.id == job_id, Job.attempt == attempt, Job.state.in_(("running", "cancelling")))
        .with_for_update()
    )
    if job is None:
        raise Fenced(f"job {job_id} is no longer attempt {attempt}")
    return job


def _close(job: Job, state: str) -> None:
    job.state, job.lease_until, job.finished_at = state, None, datetime.now(UTC)


def finish(db: Session, job_id: int, attempt: int, result: Json | None) -> None:
    """The job came to its end. Raises Fenced."""
    job = fence(db, job_id, attempt)
    _close(job, "succeeded")
    job.result, job.error, job.error_class = result, None, None
    record(db, job, "succeeded")


def cancel(db: Session, job_id: int, attempt: int) -> None:
    """The worker has stopped because someone wished so: for good, or to go on later. Raises Fenced."""
    job = fence(db, job_id, attempt)
    _close(job, stopped_state(job))
    record(db, job, job.state)


def pause(db: Session, job_id: int, attempt: int, reason: str) -> None:
    """The worker has stopped by itself until a person resumes the job; `reason` says what for. Raises Fenced."""
    job = fence(db, job_id, attempt)
    _close(job, "paused")
    job.error, job.error_class = for_people(reason), None
    record(db, job, "paused", reason)


def give_back(db: Session, job_id: int, attempt: int, reason: str) -> None:
    """Put the job back into the queue without counting a failure. Raises Fenced."""
    job = fence(db, job_id, attempt)
    job.state, job.lease_until, job.owner, job.sent_at = "queued", None, None, None
    record(db, job, "given back", reason)


def fail(db: Session, job_id: int, attempt: int, *, kind: str, message: str, again: bool) -> None:
    """The job failed. With `again` it is queued once more unless it failed too often. Raises Fenced."""
    _failed(db, fence(db, job_id, attempt), kind=kind, message=message, again=again)


def _failed(db: Session, job: Job, *, kind: str, message: str, again: bool) -> None:
    job.failures += 1
    message = for_people(message)
    job.error_class, job.error = kind, message
    if again and job.failures < job.max_failures and job.cancel_requested_at is None:
        job.state, job.lease_until, job.owner = "queued", None, None
        if kind != "worker_lost":  # the work did nothing wrong, so it need not wait
            pause = timedelta(seconds=min(5 * 2 ** (job.failures - 1), 300))
            job.not_before = datetime.now(UTC) + pause
        record(db, job, "will try again", message)
    elif job.cancel_requested_at is not None:
        _close(job, stopped_state(job))
        record(db, job, job.state, message)
    else:
        _close(job, "failed")
        record(db, job, "failed", message)


def find_owners(db: Session, host: str) -> list[str]:
    """Who on this host holds jobs: owners are `host:process:start`."""
    return list(
        db.scalars(
            select(Job.owner)
            .where(
                Job.state.in_(("running", "cancelling")),
                Job.owner.startswith(host, autoescape=True),
            )
            .distinct()
        )
    )


def take_back(db: Session, owners: list[str]) -> int:
    """Take back the jobs of workers known to be dead, without waiting for their leases."""
    lost = db.scalars(
        select(Job)
        .where(Job.state.in_(("running", "cancelling")), Job.owner.in_(owners))
        .with_for_update(skip_locked=True)
    ).all()
    for job in lost:
        _failed(db, job, kind="worker_lost", message="The worker was killed.", again=True)
        if job.state == "queued":
            after_commit(db, lambda job_id=job.id, queue=job.queue: ring(job_id, queue))  # type: ignore[misc]
    return len(lost)


def sweep(db: Session) -> tuple[int, int]:
    """Take back expired leases and send overdue rows again; (taken back, sent again).

    One sweeper at a time: the others find the advisory lock taken and leave.
    """
    if not db.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK}):
        return 0, 0
    now = datetime.now(UTC)
    lost = db.scalars(
        select(Job)
        .where(Job.state.in_(("running", "cancelling")), Job.lease_until < now)
        .with_for_update(skip_locked=True)
        .limit(100)
    ).all()
    for job in lost:
        _failed(db, job, kind="worker_lost", message="The worker stopped answering.", again=True)
    db.flush()
    overdue = db.scalars(
        select(Job)
        .where(
            Job.state == "queued",
            Job.not_before <= now,
            (Job.sent_at.is_(None))
            | (Job.sent_at < now - OVERDUE)
            | (Job.sent_at < Job.not_before),
        )
        .order_by(Job.id)
        .with_for_update(skip_locked=True)
        .limit(100)
    ).all()
    for job in overdue:
        job.sent_at = now
        after_commit(db, lambda job_id=job.id, queue=job.queue: ring(job_id, queue))  # type: ignore[misc]
    return len(lost), len(overdue)

"""Asking for long work: writing the job's row, ringing the doorbell after the commit, cancelling."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

from celery import Celery
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json, after_commit
from app.errors import Conflict, NotFound
from app.jobs.models import OPEN_STATES, Job, JobEvent
from app.jobs.wording import for_people
from app.projects.models import Project
from app.settings import settings

log = logging.getLogger("morelli.jobs")
TASK = "morelli.run_job"
RING_SECONDS = 1.0
RESUMABLE = ("paused", "cancelled", "failed")
OVER = {
    "succeeded": "succeeded",
    "failed": "failed",
    "cancelled": "was cancelled",
    "paused": "was paused",
}


def celery_settings() -> Json:
    """What web and worker must agree on. Messages are acknowledged early: claim and lease give
    recovery, and with the defaults a job of over an hour would run twice.
    """
    return {
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_acks_late": False,
        "worker_disable_prefetch": True,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # A Redis that is full, or a replica for a while, answers with errors; a worker outlives those, too.
        "broker_channel_error_retry": True,
        "broker_transport_options": {
            "visibility_timeout": 3600,
            "socket_timeout": 30,
            "socket_connect_timeout": 2,
            "socket_keepalive": True,
            "health_check_interval": 25,
            "global_keyprefix": "morelli:",
        },
        "task_default_queue": "cpu",
    }


def broker_url() -> str | None:
    """The broker as kombu spells it, or None where there is no Redis."""
    url = settings().redis_url
    if url is None:
        return None
    return url.get_secret_value().replace("unix://", "redis+socket://", 1)


@lru_cache
def _celery() -> Celery:
    sender = Celery("morelli-web", broker=broker_url())
    sender.conf.update(celery_settings())
    # Who rings waits for a broker that hangs, and with it a request; who listens has to have patience.
    sender.conf.broker_transport_options |= {"socket_timeout": RING_SECONDS}
    return sender


def ring(job_id: int, queue: str) -> None:
    """Tell a worker that a job waits. A failure is not an error: the sweeper sends the row again."""
    if broker_url() is None:
        return
    try:
        _celery().send_task(TASK, [job_id], queue=queue, retry=False)
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the row is safe
        log.warning("job %s waits for the sweeper: broker did not answer (%s)", job_id, error)


def submit(
    db: Session,
    *,
    project: Project | None,
    kind: str,
    spec: Json,
    by: Person | None,
    queue: str = "cpu",
    max_failures: int = 3,
) -> Job:
    """Write a job's row; a worker hears of it right after this transaction has committed."""
    job = Job(
        project_id=project.id if project else None,
        kind=kind,
        spec=spec,
        queue=queue,
        max_failures=max_failures,
        created_by=by.id if by else None,
        sent_at=datetime.now(UTC),
    )
    db.add(job)
    db.flush()
    record(db, job, "queued")
    job_id = job.id
    after_commit(db, lambda: ring(job_id, queue))
    return job


def record(db: Session, job: Job, kind: str, message: str = "") -> None:
    db.add(JobEvent(job_id=job.id, attempt=job.attempt, kind=kind, message=for_people(message)))


def get_job(db: Session, project: Project, job_id: int, *, lock: bool = False) -> Job:
    """A job of this project. Raises NotFound."""
    query = select(Job).where(Job.id == job_id, Job.project_id == project.id)
    job = db.scalar(query.with_for_update() if lock else query)
    if job is None:
        raise NotFound("There is no such job in this project.")
    return job


def find_jobs(
    db: Session,
    project: Project,
    *,
    before: int | None = None,
    limit: int = 50,
    kinds: Sequence[str] = (),
) -> Sequence[Job]:
    """Jobs of a project, newest first, a page at a time."""
    query = select(Job).where(Job.project_id == project.id).order_by(Job.id.desc()).limit(limit)
    if before is not None:
        query = query.where(Job.id < before)
    if kinds:
        query = query.where(Job.kind.in_(kinds))
    return db.scalars(query).all()


def find_events(db: Session, job: Job, *, limit: int = 200) -> Sequence[JobEvent]:
    """What happened to a job, newest first."""
    return db.scalars(
        select(JobEvent).where(JobEvent.job_id == job.id).order_by(JobEvent.id.desc()).limit(limit)
    ).all()


def request_cancel(db: Session, project: Project, job_id: int) -> Job:
    """Cancel a job: at once where it waits or is paused, at the worker's next heartbeat where it runs."""
    job = get_job(db, project, job_id, lock=True)
    if job.state not in (*OPEN_STATES, "paused"):
        raise Conflict(f"This job is over: it {OVER[job.state]}.")
    return _ask_to_stop(db, job, pauses=False)


def request_pause(db: Session, project: Project, job_id: int) -> Job:
    """Stop a job to go on later: at once where it waits, at the worker's next heartbeat where it runs."""
    job = get_job(db, project, job_id, lock=True)
    if job.state not in OPEN_STATES:
        raise Conflict(f"This job is over: it {OVER[job.state]}.")
    if job.state == "cancelling" and not job.pauses:
        raise Conflict("This job is being cancelled. It can be resumed when it has stopped.")
    return _ask_to_stop(db, job, pauses=True)


def _ask_to_stop(db: Session, job: Job, *, pauses: bool) -> Job:
    now = datetime.now(UTC)
    if job.cancel_requested_at is None or job.pauses != pauses:
        job.cancel_requested_at = job.cancel_requested_at or now
        record(db, job, "pause asked for" if pauses else "cancel asked for")
    job.pauses = pauses
    if job.state in ("queued", "paused"):
        job.state, job.finished_at = stopped_state(job), now
        record(db, job, job.state)
    else:
        job.state = "cancelling"
    return job


def stopped_state(job: Job) -> str:
    """How a job ends that was asked to stop."""
    return "paused" if job.pauses else "cancelled"


def resume(db: Session, project: Project, job_id: int) -> Job:
    """Queue a paused, cancelled or failed job again; it goes on from what it left."""
    job = get_job(db, project, job_id, lock=True)
    if job.state not in RESUMABLE:
        raise Conflict(
            f"Only a paused, cancelled or failed job can be resumed; this one is {job.state}."
        )
    now = datetime.now(UTC)
    job.state, job.failures, job.cancel_requested_at, job.finished_at = "queued", 0, None, None
    job.error, job.error_class, job.pauses = None, None, False
    job.not_before = job.sent_at = now
    record(db, job, "resumed")
    queue, waiting = job.queue, job.id
    after_commit(db, lambda: ring(waiting, queue))
    return job

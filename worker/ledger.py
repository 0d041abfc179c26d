"""A job in a worker's hands: claim it, keep its lease, fence every write, finish it.

The heartbeat runs in its own thread, so a handler may compute for minutes; the wish to cancel and
the loss of the lease come back through it.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.database import Json, unit_of_work
from app.errors import AppError, Unavailable
from app.jobs import claiming
from app.jobs.claiming import LEASE, Fenced
from app.jobs.queueing import ring
from app.jobs.wording import for_people
from app.stopping import StopFlag
from method.items import EndsTheWhole

log = logging.getLogger("morelli.worker")

# A wish to cancel comes back with it, so it is also how long that takes where nothing is reported.
HEARTBEAT_SECONDS = 3.0
REPORT_SECONDS = 1.0


def _this_host() -> str:
    """Names this run of this host, and this container in it: process numbers mean nothing elsewhere.

    Two containers may bear the same host name, and each would then take the other's live jobs back.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        numbers = os.stat("/proc/self/ns/pid").st_ino
    except OSError:  # no Linux
        boot, numbers = "", 0
    return f"{socket.gethostname()}:{boot}-{numbers}:"


HOST = _this_host()

# One training at a time in one worker: two would share the device's memory and both be lost.
_device = threading.Lock()

# Set when the worker is told to stop: every job in hand is given back to the queue.
shutting_down = StopFlag()


def owner_of(pid: int) -> str | None:
    """A process of this host as `host:process:start`, or None where there is none.

    The start time tells a process from a later one that was given the same number.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        if Path("/proc/self").exists():
            return None
        return f"{HOST}{pid}:0"  # no /proc (macOS): dead workers are found by their lease alone
    fields = stat.rpartition(")")[2].split()
    if fields[0] in "ZX":  # ended, and only waiting for its parent to notice
        return None
    return f"{HOST}{pid}:{fields[19]}"


def take_back_from_dead() -> int:
    """Take back what killed workers of this host held, so that one machine recovers at once."""
    with unit_of_work() as db:
        dead = [
            owner
            for owner in claiming.find_owners(db, HOST)
            if owner_of(int(owner.removeprefix(HOST).split(":")[0])) != owner
        ]
        return claiming.take_back(db, dead) if dead else 0


class Stopped(EndsTheWhole):
    """Stop working on this job; `reason` is cancelled, fenced or shutting down."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class JobFailed(EndsTheWhole):
    """The job cannot be done; `kind` is the failure class, `again` whether trying again may help."""

    def __init__(self, kind: str, message: str, *, again: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.again = again


class JobPaused(EndsTheWhole):
    """The job waits for a person: what it left is kept, and it goes on from there when it is resumed."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Work:
    """One attempt at one job, as its handler sees it."""

    def __init__(self, job_id: int, attempt: int, project_id: int | None, spec: Json) -> None:
        self.job_id = job_id
        self.attempt = attempt
        self.project_id = project_id
        self.spec = spec
        self._progress: Json | None = None
        self._sent = 0.0
        self._began = time.monotonic()
        self._first: int | None = None
        self._lost: str | None = None
        self._wake = threading.Event()
        self._over = threading.Event()

    @property
    def stop_reason(self) -> str | None:
        """Why to stop, or None while all is well."""
        return self._lost or ("shutting down" if shutting_down.is_set() else None)

    def check(self) -> None:
        """Raise Stopped where the job was cancelled or fenced, or the worker is to stop."""
        reason = self.stop_reason
        if reason is not None:
            raise Stopped(reason)

    def report(self, *, done: int, total: int | None, message: str = "", **more: object) -> None:
        """Tell how far the work is. Cheap: written at most once a second, by the heartbeat."""
        if self._first is None:
            self._first, self._began = done, time.monotonic()
        progress: Json = {"done": done, "total": total, "message": for_people(message)}
        passed, came = time.monotonic() - self._began, done - self._first
        if total and came > 0 and passed > 0:
            progress["eta_seconds"] = round((total - done) * passed / came, 1)
            progress["per_second"] = round(came / passed, 3)
        self._progress = progress | more
        if time.monotonic() - self._sent >= REPORT_SECONDS:
            self._sent = time.monotonic()
            self._wake.set()

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A short unit of work that only the present attempt can commit. Raises Stopped."""
        try:
            with unit_of_work() as db:
                claiming.fence(db, self.job_id, self.attempt)
                yield db
        except Fenced as error:
            self._lost = "fenced"
            raise Stopped("fenced") from error

    def keep_alive(self) -> None:
        """The heartbeat's loop: renews the lease, brings progress to the row and wishes back."""
        renewed = time.monotonic()
        while not self._over.is_set():
            self._wake.wait(HEARTBEAT_SECONDS)
            self._wake.clear()
            if self._over.is_set():
                return
            try:
                with unit_of_work() as db:
                    cancelled = claiming.heartbeat(db, self.job_id, self.attempt, self._progress)
                renewed = time.monotonic()
            except Fenced:
                self._lost = "fenced"
                return
            except SQLAlchemyError as error:
                log.warning("job %s: heartbeat failed (%s)", self.job_id, type(error).__name__)
                if time.monotonic() - renewed > LEASE.total_seconds():
                    # Another worker may hold the job by now; this one must not go on.
                    self._lost = "fenced"
                    return
                self._over.wait(1.0)
                continue
            if cancelled:
                self._lost = "cancelled"

    def last_progress(self) -> Json | None:
        """The newest progress that a handler reported."""
        return self._progress

    def end(self) -> None:
        """Stop the heartbeat."""
        self._over.set()
        self._wake.set()


Handler = Callable[[Work], Json | None]


def run(job_id: int, handlers: dict[str, Handler]) -> bool:
    """Claim a job and do it; returns False where there was nothing to do.

    However often the message comes, the claim lets one worker in, and the attempt fences the rest.
    """
    if shutting_down.is_set():
        return False
    has_device = _device.acquire(blocking=False)
    try:
        with unit_of_work() as db:
            job = claiming.claim(
                db,
                job_id,
                owner=owner_of(os.getpid()) or HOST,
                queues=("cpu", "gpu") if has_device else ("cpu",),
            )
            if job is None:
                return False
            work = Work(job.id, job.attempt, job.project_id, dict(job.spec))
            kind, needs_device = job.kind, job.queue == "gpu"
        if has_device and not needs_device:
            _device.release()
            has_device = False
        log.info("job %s (%s) attempt %s started", job_id, kind, work.attempt)
        _with_heartbeat(work, kind, handlers)
    finally:
        if has_device:
            _device.release()
    if needs_device:
        _ring_for_next("gpu")
    return True


def _with_heartbeat(work: Work, kind: str, handlers: dict[str, Handler]) -> None:
    heart = threading.Thread(target=work.keep_alive, name=f"heart-{work.job_id}", daemon=True)
    heart.start()
    try:
        _do(work, kind, handlers)
    finally:
        work.end()
        heart.join(timeout=5)


def _ring_for_next(queue: str) -> None:
    """A message that came while the device was busy found nothing to claim: ring again."""
    if not shutting_down.is_set():
        with unit_of_work() as db:
            due = claiming.find_due(db, queues=(queue,))
        for job_id in due:
            ring(job_id, queue)


def _do(work: Work, kind: str, handlers: dict[str, Handler]) -> None:
    try:
        handler = handlers.get(kind)
        if handler is None:
            raise JobFailed("user_config", f"This worker does not know jobs of kind “{kind}”.")
        result = handler(work)
    except Stopped as stopped:
        reason = stopped.reason
        _settle(work, lambda db: _stop(db, work, reason))
    except JobPaused as paused:
        reason = paused.message
        log.info("job %s paused: %s", work.job_id, reason)
        _settle(work, lambda db: claiming.pause(db, work.job_id, work.attempt, reason))
    except JobFailed as failed:
        log.warning("job %s failed: %s", work.job_id, failed.message)
        _fail(work, failed.kind, failed.message, again=failed.again)
    except Unavailable as error:
        _fail(work, "infrastructure", error.message, again=True)
    except AppError as error:
        _fail(work, "user_config", f"{error.message} {error.hint or ''}".strip(), again=False)
    except SQLAlchemyError as error:
        log.exception("job %s: the database failed", work.job_id)
        _fail(work, "infrastructure", f"The database failed: {type(error).__name__}.", again=True)
    except Exception as error:  # the task boundary: the ledger must hear of whatever happened
        log.exception("job %s failed", work.job_id)
        _fail(work, "unexpected", f"{type(error).__name__}: {error}", again=True)
    else:
        log.info("job %s succeeded", work.job_id)

        def close(db: Session) -> None:
            progress = work.last_progress()
            if progress is not None:
                claiming.heartbeat(db, work.job_id, work.attempt, progress)
            claiming.finish(db, work.job_id, work.attempt, result)

        _settle(work, close)


def _stop(db: Session, work: Work, reason: str) -> None:
    if reason == "cancelled":
        claiming.cancel(db, work.job_id, work.attempt)
    elif reason == "shutting down":
        claiming.give_back(db, work.job_id, work.attempt, "the worker is stopping")
    log.info("job %s stopped: %s", work.job_id, reason)


def _fail(work: Work, kind: str, message: str, *, again: bool) -> None:
    _settle(
        work,
        lambda db: claiming.fail(
            db, work.job_id, work.attempt, kind=kind, message=message, again=again
        ),
    )


def _settle(work: Work, close: Callable[[Session], None]) -> None:
    """Write the outcome; where the database is away for longer, the sweeper takes the job back."""
    for pause in (0.5, 2.0, 5.0, None):
        try:
            with unit_of_work() as db:
                close(db)
        except Fenced:
            log.warning("job %s: attempt %s was fenced", work.job_id, work.attempt)
        except SQLAlchemyError:
            log.warning("job %s: could not write the outcome", work.job_id)
            if pause is not None:
                time.sleep(pause)
                continue
        return

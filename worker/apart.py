"""Threads for jobs that may wait long for servers elsewhere, and for those that a person waits for, beside
the threads that all other jobs need.

An import that fetches from slow addresses holds its own thread and nobody else's. The picture work of
all imports goes through one small pool, so many of them at once cost no more of the processor than one.
Tiles take seconds, one image at a time, and are wanted now, not when a training has ended.
"""

import logging
import threading

from sqlalchemy import select

from app.database import unit_of_work
from app.jobs.models import Job
from worker.ledger import Handler, run

log = logging.getLogger("morelli.worker")
KINDS = frozenset({"import", "tiles"})
# More than these wait as other jobs do.
AT_ONCE = 12
_room = threading.BoundedSemaphore(AT_ONCE)


def take(job_id: int, handlers: dict[str, Handler]) -> bool:
    """Do a job of these kinds in a thread of its own; False where it is of another or there is no room.

    The thread is no daemon: a worker that stops waits until it has given its job back.
    """
    with unit_of_work() as db:
        kind = db.scalar(select(Job.kind).where(Job.id == job_id, Job.state == "queued"))
    if kind not in KINDS or not _room.acquire(blocking=False):
        return False
    threading.Thread(target=_do, args=(job_id, handlers), name=f"apart-{job_id}").start()
    return True


def _do(job_id: int, handlers: dict[str, Handler]) -> None:
    try:
        run(job_id, handlers)
    except Exception:  # the thread's boundary: the row's lease brings the job back
        log.exception("job %s could not be run", job_id)
    finally:
        _room.release()

"""Doing a job from the command line, and waiting for it."""

import time
from datetime import UTC, datetime
from typing import Any

from app.errors import AppError
from app.handing_on import run_worker_module


def finish_job(job_id: int | None) -> dict[str, Any]:
    """Do a job here where no worker is at it, and wait until it is over.

    A job that is to be tried again is done here again when its pause is over: there may be no other
    worker. Raises AppError where the worker does not start.
    """
    from app.database import unit_of_work
    from app.jobs.models import OPEN_STATES, Job

    assert job_id is not None
    while True:
        with unit_of_work() as db:
            job = db.get_one(Job, job_id)
            state = {"state": job.state, "error": job.error, "result": job.result}
            is_due = job.state == "queued" and job.not_before <= datetime.now(UTC)
        if state["state"] not in OPEN_STATES:
            return state
        if not is_due:
            time.sleep(0.5)
        elif run_worker_module("worker", str(job_id)):
            raise AppError(
                f"The worker ended without doing job {job_id}.",
                hint="Its output above says why; `morelli up` will do the job.",
            )

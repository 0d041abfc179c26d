"""The one Celery task and the handlers of each kind of job: thin."""

import logging

from worker import (
    agent_comparing,
    apart,
    bulk_acting,
    contradicting,
    demo_audit,
    importing,
    label_importing,
    pair_jobs,
    queue_measuring,
    study_images,
    tiling,
    training_jobs,
)
from worker.agents import drawing, running
from worker.celery_app import app
from worker.datasets import building
from worker.ledger import Handler, run
from worker.trust import teaching

log = logging.getLogger("morelli.worker")

HANDLERS: dict[str, Handler] = {
    "import": importing.run,
    "label_import": label_importing.run,
    "bulk": bulk_acting.run,
    "tiles": tiling.run,
    "measures": drawing.run,
    "agent_run": running.run,
    "dataset": building.run,
    "pair_dataset": pair_jobs.run,
    "training": training_jobs.run,
    "base_model": training_jobs.make_base_model,
    "queue_order": queue_measuring.run,
    "contradictions": contradicting.run,
    "study_images": study_images.run,
    "demo_audit": demo_audit.run,
    "agent_trust": teaching.run,
    "agent_comparison": agent_comparing.run,
}


@app.task(name="morelli.run_job", ignore_result=True)
def run_job(job_id: int) -> None:
    """Claim a job and do it. A doubled or stale message finds nothing to claim and costs one query."""
    if not apart.take(job_id, HANDLERS):
        run(job_id, HANDLERS)

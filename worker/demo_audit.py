"""The handler of jobs of kind `demo_audit`: the audit with simulated participants that the first start shows."""

import time

from app.agents.models import AgentRun
from app.audits.results import get_facts
from app.database import Json, unit_of_work
from app.demo.auditing import audit_demo
from app.jobs.models import OPEN_STATES, Job
from app.projects.models import Project
from worker.ledger import Work

POLL_SECONDS = 1.0


def run(work: Work) -> Json:
    """Wait for the agent run, where another worker is still at it, and audit it; nothing where it failed."""
    run_id = int(work.spec["agent_run_id"])
    while _is_under_way(run_id):
        work.check()
        work.report(done=0, total=None, message="waiting for the agent run")
        time.sleep(POLL_SECONDS)
    with work.transaction() as db:
        project = db.get_one(Project, work.project_id)
        audit = audit_demo(db, project, run_id)
        return {"judged": get_facts(db, audit).questions if audit else 0}


def _is_under_way(run_id: int) -> bool:
    with unit_of_work() as db:
        job_id = db.get_one(AgentRun, run_id).job_id
        job = db.get(Job, job_id) if job_id else None
        return job is not None and job.state in OPEN_STATES

"""Jobs as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.jobs import queueing
from app.jobs.models import Job
from app.jobs.schemas import JobOut, JobsOut
from app.projects.access import AnnotatorProject, LeadProject
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/jobs", tags=["jobs"])


@router.get("")
def api_list_jobs(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobsOut:
    """Jobs, newest first."""
    found = queueing.find_jobs(db, project, before=before, limit=limit + 1)
    items = [JobOut.model_validate(job) for job in found[:limit]]
    return JobsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.get("/{job_id}", response_model=JobOut)
def api_get_job(job_id: int, db: Db, project: AnnotatorProject) -> Job:
    """One job with its progress and result."""
    return queueing.get_job(db, project, job_id)


@router.post("/{job_id}/cancel", response_model=JobOut)
def api_cancel_job(job_id: int, db: Db, project: LeadProject) -> Job:
    """Cancel a job: at once where it waits, within seconds where it runs."""
    return queueing.request_cancel(db, project, job_id)


@router.post("/{job_id}/pause", response_model=JobOut)
def api_pause_job(job_id: int, db: Db, project: LeadProject) -> Job:
    """Stop a job to go on later: at once where it waits, within seconds where it runs; what it has done is kept."""
    return queueing.request_pause(db, project, job_id)


@router.post("/{job_id}/resume", response_model=JobOut)
def api_resume_job(job_id: int, db: Db, project: LeadProject) -> Job:
    """Queue a paused, cancelled or failed job again; it goes on from what it left."""
    return queueing.resume(db, project, job_id)

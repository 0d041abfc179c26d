"""The project's jobs: what runs, what waits, what came out."""

from fastapi import APIRouter
from starlette.responses import Response

from app.jobs import queueing
from app.jobs.models import OPEN_STATES
from app.projects.access import AnnotatorProject, LeadProject
from app.web.answer import Answering
from app.web.dependencies import Db

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/jobs")
PAGE = 50


@router.get("")
def show_jobs(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """Jobs, newest first."""
    found = queueing.find_jobs(db, project, before=before, limit=PAGE + 1)
    jobs = found[:PAGE]
    return answer.show(
        "jobs/list.html",
        fragment="jobs/_table.html",
        jobs=jobs,
        before=before,
        next=jobs[-1].id if len(found) > PAGE else None,
        is_live=before is None and any(job.state in OPEN_STATES for job in jobs),
    )


@router.get("/{job_id}")
def show_job(job_id: int, db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    job = queueing.get_job(db, project, job_id)
    return answer.show(
        "jobs/job.html",
        fragment="jobs/_job.html",
        job=job,
        events=queueing.find_events(db, job),
        is_live=job.state in OPEN_STATES,
    )


@router.post("/{job_id}/cancel")
def cancel_job(job_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    queueing.request_cancel(db, project, job_id)
    return answer.done(go_to=answer.path("show_job", project=project.slug, job_id=job_id))


@router.post("/{job_id}/pause")
def pause_job(job_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """Stop a job to go on later."""
    queueing.request_pause(db, project, job_id)
    return answer.done(go_to=answer.path("show_job", project=project.slug, job_id=job_id))


@router.post("/{job_id}/resume")
def resume_job(job_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """Queue a paused, cancelled or failed job again."""
    queueing.resume(db, project, job_id)
    return answer.done(go_to=answer.path("show_job", project=project.slug, job_id=job_id))

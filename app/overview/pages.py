"""The project's first page."""

from fastapi import APIRouter
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.jobs.models import OPEN_STATES
from app.jobs.queueing import find_jobs
from app.overview import counting
from app.projects.access import AnnotatorProject
from app.proposals.reading import count_waiting
from app.queue.handing_out import claim_next
from app.web.answer import Answering
from app.web.dependencies import Db

router = APIRouter(include_in_schema=False)


@router.get("/projects/{project}")
def show_dashboard(
    db: Db, answer: Answering, project: AnnotatorProject, person: CurrentPerson
) -> Response:
    """The project's state at a glance."""
    counts = counting.count(db, project)
    jobs = find_jobs(db, project, limit=6)
    version = counting.version_in_use(db, project)
    return answer.show(
        "overview/dashboard.html",
        fragment="overview/_state.html",
        counts=counts,
        jobs=jobs,
        is_live=any(job.state in OPEN_STATES for job in jobs),
        version=version,
        steps=counting.loop(counts, version),
        images=counting.newest_images(db, project),
        proposals=count_waiting(db, project, person),
    )


@router.get("/projects/{project}/next-image")
def show_next_image(
    db: Db, answer: Answering, project: AnnotatorProject, person: CurrentPerson
) -> Response:
    """To the first image that waits and nobody else is at; to all images where none waits."""
    image_id = claim_next(db, project, person)
    if image_id is None:
        return answer.go(answer.path("show_images", project=project.slug))
    return answer.go(answer.path("show_labels", project=project.slug, image_id=image_id))

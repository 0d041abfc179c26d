"""The page of the queue: what waits, in which order, for whom, and who did how much."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.database import LARGEST_KEY
from app.images import finding
from app.labels.access import Sight
from app.projects.access import AnnotatorProject, LeadProject, may
from app.projects.founding import find_members
from app.projects.models import Project
from app.queue import assigning, ordering, progress
from app.queue.forms import AssignForm, OrderForm
from app.queue.models import STRATEGIES
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(prefix="/projects/{project}/queue", include_in_schema=False)

NAMES = dict(
    zip(
        STRATEGIES,
        (
            "By id",
            "Random",
            "Least certain first",
            "Most contradictory first",
            "Where the agent has been wrong most",
        ),
        strict=True,
    )
)
Before = Annotated[int | None, Query(ge=1, le=LARGEST_KEY)]


def _page(
    db: Db,
    answer: Answer,
    project: Project,
    person: Person,
    *,
    sight: bool,
    form: Form[AssignForm] | None = None,
    errors: Form[OrderForm] | None = None,
    before: int | None = None,
) -> Response:
    is_lead = may(answer.request.state.role, "lead")
    shown = form or errors
    context: dict[str, Any] = {
        "progress": progress.find_progress(db, project, person),
        "own": assigning.find_assignments(db, project, person=person),
        "order": ordering.find_order(db, project),
        "names": NAMES,
        "unsure": finding.count_images(db, project, show="unsure") if sight else None,
        "most": assigning.MOST,
        "form": form or Form(),
        "order_form": errors or Form(),
        "filters": finding.filters(suggestions=sight),
    }
    if is_lead:
        found = assigning.find_assignments(db, project, before=before, limit=assigning.PAGE + 1)
        context |= {
            "given": found[: assigning.PAGE],
            "next": found[assigning.PAGE - 1].assignment.id
            if len(found) > assigning.PAGE
            else None,
            "members": find_members(db, project, limit=200),
            "days": progress.find_days(db, project, limit=30),
        }
    status = 422 if shown is not None and shown.errors else 200
    return answer.show("queue/queue.html", status=status, **context)


@router.get("")
def show_queue(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    sight: Sight,
    before: Before = None,
) -> Response:
    """What waits, and for leads who was given what and who did how much."""
    return _page(db, answer, project, person, sight=sight, before=before)


@router.post("/order")
def submit_queue_order(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    sight: Sight,
    form: Annotated[Form[OrderForm], Depends(submitted(OrderForm))],
) -> Response:
    """Choose the order in which the queue is handed out."""
    if form.errors:
        return _page(db, answer, project, person, sight=sight, errors=form)
    ordering.set_strategy(db, project, form.values.strategy, by=person)
    return answer.done(go_to=answer.path("show_queue", project=project.slug))


@router.post("/measure")
def submit_queue_measuring(
    db: Db, answer: Answering, project: LeadProject, person: CurrentPerson
) -> Response:
    """Have all that waits measured anew."""
    job = ordering.ask_to_measure(db, project, by=person)
    return answer.done(go_to=answer.path("show_job", project=project.slug, job_id=job.id))


@router.post("/assignments")
def submit_assignment(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    sight: Sight,
    form: Annotated[Form[AssignForm], Depends(submitted(AssignForm))],
) -> Response:
    """Give images of a filter to persons."""
    if not form.errors:
        with form.attempt():
            asked = form.values
            assigning.assign(
                db,
                project,
                person_ids=asked.persons,
                show=asked.show,
                words=asked.words,
                strategy=asked.strategy,
                num_images=asked.num_images,
                by=person,
            )
    if form.errors:
        return _page(db, answer, project, person, sight=sight, form=form)
    return answer.done(go_to=answer.path("show_queue", project=project.slug))


@router.post("/assignments/{assignment_id:int}/taken-back")
def submit_taking_back(
    db: Db, answer: Answering, project: LeadProject, person: CurrentPerson, assignment_id: int
) -> Response:
    """Give what still waits of an assignment to nobody again."""
    assigning.take_back(db, project, assignment_id, by=person)
    return answer.done(go_to=answer.path("show_queue", project=project.slug))

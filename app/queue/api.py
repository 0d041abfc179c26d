"""The queue for programs, and for the labelling page's own script."""

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query

from app.accounts.access import CurrentPerson
from app.database import LARGEST_KEY
from app.jobs.schemas import JobOut
from app.projects.access import AnnotatorProject, LeadProject
from app.queue import assigning, handing_out, ordering, progress
from app.queue.schemas import (
    AssignIn,
    AssignmentOut,
    AssignmentsOut,
    DaysOut,
    HeldOut,
    HoldIn,
    NextIn,
    NextOut,
    OrderIn,
    OrderOut,
    show_days,
    show_held,
)
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/queue", tags=["queue"])


@router.post("/next", response_model=NextOut)
def api_claim_next(
    project: AnnotatorProject, body: NextIn, db: Db, person: CurrentPerson
) -> NextOut:
    """The next image that waits, now kept for who asks: first of those given to them, then of the others in
    the order of the project's queue. Nobody else is handed it for 15 minutes from the last sign of them.
    """
    return NextOut(image=handing_out.claim_next(db, project, person, after=body.after))


@router.post("/hold", response_model=HeldOut)
def api_hold_images(
    project: AnnotatorProject, body: HoldIn, db: Db, person: CurrentPerson
) -> HeldOut:
    """A sign that somebody is at these images: they stay kept for them, but those that another is at."""
    own = handing_out.find_own_images(db, project, body.images)
    held = handing_out.take(db, own, person)
    busy = handing_out.who_is_at(db, body.images[0], person) if body.images[0] in own else None
    return show_held(held, busy, progress.find_progress(db, project, person))


@router.get("/order", response_model=OrderOut)
def api_get_order(project: AnnotatorProject, db: Db) -> OrderOut:
    """In which order the queue is handed out."""
    return OrderOut.of(ordering.find_order(db, project))


@router.put("/order", response_model=OrderOut)
def api_set_order(project: LeadProject, body: OrderIn, db: Db, person: CurrentPerson) -> OrderOut:
    """Choose the order in which the queue is handed out."""
    return OrderOut.of(ordering.set_strategy(db, project, body.strategy, by=person))


@router.post("/measure", status_code=202, response_model=JobOut)
def api_measure_queue(project: LeadProject, db: Db, person: CurrentPerson) -> JobOut:
    """Have all that waits measured anew for the orders that look at labels, by a job."""
    return JobOut.model_validate(ordering.ask_to_measure(db, project, by=person))


@router.get("/assignments", response_model=AssignmentsOut)
def api_list_assignments(
    project: LeadProject,
    db: Db,
    before: Annotated[int | None, Query(ge=1, le=LARGEST_KEY)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = assigning.PAGE,
) -> AssignmentsOut:
    """Who was given how many images, newest first."""
    found = assigning.find_assignments(db, project, before=before, limit=limit + 1)
    items = [AssignmentOut.of(each) for each in found[:limit]]
    return AssignmentsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("/assignments", status_code=201, response_model=AssignmentsOut)
def api_assign_images(
    project: LeadProject, body: AssignIn, db: Db, person: CurrentPerson
) -> AssignmentsOut:
    """Give images of a filter that wait and are given to nobody to persons; answers with what each got."""
    made = assigning.assign(
        db,
        project,
        person_ids=body.persons,
        show=body.show,
        words=body.words,
        strategy=body.strategy,
        num_images=body.num_images,
        by=person,
    )
    found = assigning.find_assignments(db, project, limit=len(made))
    return AssignmentsOut(items=[AssignmentOut.of(each) for each in found], next=None)


@router.delete("/assignments/{assignment_id}", status_code=204)
def api_take_back_images(
    project: LeadProject, assignment_id: int, db: Db, person: CurrentPerson
) -> None:
    """Give what still waits of an assignment to nobody again."""
    assigning.take_back(db, project, assignment_id, by=person)


@router.get("/days", response_model=DaysOut)
def api_list_days(
    project: LeadProject,
    db: Db,
    before_day: date | None = None,
    before_person: Annotated[int, Query(ge=0, le=LARGEST_KEY)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = progress.PAGE,
) -> DaysOut:
    """What each person did on each day (UTC), the latest day first."""
    before = (before_day, before_person) if before_day else None
    found = list(progress.find_days(db, project, before=before, limit=limit + 1))
    return show_days(found[:limit], goes_on=len(found) > limit)

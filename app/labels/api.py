"""Labels for programs, and for the labelling page's own script."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from app.accounts.access import CurrentPerson
from app.labels import reading, saving
from app.labels.access import BIGGEST, get_image, get_in_force
from app.labels.schemas import (
    DoneMark,
    DoneOut,
    HistoryOut,
    ImageLabelsOut,
    LabelAction,
    SavedOut,
    UndoAction,
    UsableAttributesOut,
    show_found,
    show_happened,
    show_image_labels,
    show_saved,
    show_usable,
)
from app.projects.access import AnnotatorProject
from app.web.dependencies import Db
from taxonomy.tree import Polarity

Before = Annotated[int | None, Query(ge=0, le=BIGGEST)]

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["labels"])


@router.get("/labels/attributes")
def api_list_attributes(
    project: AnnotatorProject,
    db: Db,
    response: Response,
    version: int | None = None,
    q: Annotated[str | None, Query(max_length=200)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 40,
) -> UsableAttributesOut:
    """Every attribute that can be added now, in tree order; with `q` those found by words, best first.

    Naming the current `version` lets a browser keep the answer, because a version never changes.
    """
    in_force = get_in_force(db, project)
    if version == in_force.number:
        response.headers["Cache-Control"] = "private, max-age=86400"
    if q is None:
        return show_usable(in_force)
    return show_found(in_force, reading.find_addable(in_force, q, limit=limit))


@router.get("/images/{image_id:int}/labels")
def api_get_labels(project: AnnotatorProject, image_id: int, db: Db) -> ImageLabelsOut:
    """The labels of an image with its label revision, A_pos and A_neg."""
    image = get_image(db, project, image_id)
    return show_image_labels(reading.find_labels(db, project, image))


@router.put("/images/{image_id:int}/labels/{key}/{polarity}")
def api_save_label(
    project: AnnotatorProject,
    image_id: int,
    key: str,
    polarity: Polarity,
    action: LabelAction,
    db: Db,
    person: CurrentPerson,
) -> SavedOut:
    """Confirm, reject, add or withdraw one attribute. 412 carries both values."""
    saved = saving.save(
        db,
        project,
        image_id,
        key=key,
        polarity=polarity,
        state=action.state,
        based_on=action.based_on,
        operation_id=action.operation_id,
        by=person,
        suggestion_visible=action.suggestion_visible,
    )
    image = get_image(db, project, image_id)
    return show_saved(saved, reading.find_contradictions_of(db, project, image))


@router.post("/images/{image_id:int}/labels/undo")
def api_undo_label(
    project: AnnotatorProject, image_id: int, action: UndoAction, db: Db, person: CurrentPerson
) -> SavedOut:
    """Undo an action of one's own, or the last one not yet undone."""
    saved = saving.undo(
        db,
        project,
        image_id,
        by=person,
        event_id=action.event_id,
        operation_id=action.operation_id,
    )
    image = get_image(db, project, image_id)
    return show_saved(saved, reading.find_contradictions_of(db, project, image))


@router.get("/images/{image_id:int}/history")
def api_list_history(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    before: Before = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> HistoryOut:
    """What happened to an image's labels, newest first."""
    image = get_image(db, project, image_id)
    happened, following = reading.find_history(db, project, image, before=before, limit=limit)
    return HistoryOut(items=[show_happened(each) for each in happened], next=following)


@router.put("/images/{image_id:int}/done")
def api_set_done(
    project: AnnotatorProject, image_id: int, mark: DoneMark, db: Db, person: CurrentPerson
) -> DoneOut:
    """Mark an image's labels as done, or take the mark away."""
    image = saving.set_done(db, project, image_id, done=mark.done, by=person)
    return DoneOut(done=image.done_at is not None, done_at=image.done_at)

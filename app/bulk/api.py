"""Bulk actions for programs: ask, look at what it would do, have it done, take it back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.accounts.access import CurrentPerson
from app.bulk import asking, reading
from app.bulk.schemas import BulkImageOut, BulkImagesPage, BulkIn, BulkOut, BulkPage
from app.database import LARGEST_KEY
from app.images.access import Cursor, PathKey
from app.labels.access import refuse_hidden
from app.labels.showing import note_told
from app.projects.access import LeadProject
from app.projects.models import Project
from app.web.dependencies import Db

router = APIRouter(
    prefix="/api/v1/projects/{project}/bulk",
    tags=["labels"],
    dependencies=[Depends(refuse_hidden)],
)
Limit = Annotated[int, Query(ge=1, le=200)]


def _shown(db: Db, project: Project, action_id: int) -> BulkOut:
    return BulkOut.of(reading.get_action(db, project, action_id))


@router.get("")
def api_list_bulk_actions(
    project: LeadProject, db: Db, before: Cursor = None, limit: Limit = reading.PAGE
) -> BulkPage:
    """What was done in bulk, newest first."""
    found = reading.find_actions(db, project, before=before, limit=limit + 1)
    return BulkPage(
        items=[BulkOut.of(each) for each in found[:limit]],
        next=found[limit - 1].action.id if len(found) > limit else None,
    )


@router.post("", status_code=202)
def api_ask_for_bulk_action(
    project: LeadProject, body: BulkIn, db: Db, person: CurrentPerson
) -> BulkOut:
    """Look at what a bulk action would do; nothing is done yet. Of many images a worker does so: `found` says when."""
    action = asking.ask(db, project, body.wish(), by=person)
    return _shown(db, project, action.id)


@router.get("/{action_id}")
def api_get_bulk_action(project: LeadProject, action_id: PathKey, db: Db) -> BulkOut:
    """One bulk action: what it would do, or what it did."""
    return _shown(db, project, action_id)


@router.get("/{action_id}/images")
def api_list_bulk_images(
    project: LeadProject,
    action_id: PathKey,
    db: Db,
    person: CurrentPerson,
    which: str = "change",
    after: Annotated[int, Query(ge=0, le=LARGEST_KEY)] = 0,
    limit: Limit = reading.PAGE,
) -> BulkImagesPage:
    """Its images by effect (`change`, `same`, `kept`, `none`, `contradicting`) or by outcome (`taken`, `passed`,
    `undone`, `stays`).
    """
    found = reading.get_action(db, project, action_id)
    rows = reading.find_images(db, found.action, which, after=after, limit=limit + 1)
    if found.node is not None:
        note_told(db, [each.image_id for each in rows[:limit]], person)
    return BulkImagesPage(
        items=[BulkImageOut.of(each) for each in rows[:limit]],
        next=rows[limit - 1].image_id if len(rows) > limit else None,
    )


@router.post("/{action_id}/take", status_code=202)
def api_take_bulk_action(
    project: LeadProject, action_id: PathKey, db: Db, person: CurrentPerson
) -> BulkOut:
    """Do what was looked at. 409 where an image that it concerns has changed since; then nothing is done."""
    asking.ask_to_take(db, project, action_id, by=person)
    return _shown(db, project, action_id)


@router.post("/{action_id}/undo", status_code=202)
def api_undo_bulk_action(
    project: LeadProject, action_id: PathKey, db: Db, person: CurrentPerson
) -> BulkOut:
    """Take it back in one step; what was changed since stays, and is listed."""
    asking.ask_to_undo(db, project, action_id, by=person)
    return _shown(db, project, action_id)


@router.post("/{action_id}/again", status_code=202)
def api_look_at_bulk_action_again(
    project: LeadProject, action_id: PathKey, db: Db, person: CurrentPerson
) -> BulkOut:
    """Ask for the same as a new bulk action, looked at as images are now."""
    again = asking.ask_again(db, project, action_id, by=person)
    return _shown(db, project, again.id)

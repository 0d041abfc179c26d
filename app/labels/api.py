"""Labels for programs, and for the labelling page's own script."""

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Query, Response
from starlette.responses import StreamingResponse

from app.accounts.access import CurrentPerson
from app.database import LARGEST_KEY
from app.labels import history, reading, saving, undoing
from app.labels.access import Sight, get_image, get_in_force, refuse_hidden
from app.labels.applying import apply
from app.labels.export_formats import FORMATS, ExportFormat, in_pieces
from app.labels.schemas import (
    DoneMark,
    DoneOut,
    HistoryOut,
    ImageLabelsOut,
    LabelAction,
    SavedOut,
    ShownMark,
    TakeBack,
    TakenBackOut,
    TraitIn,
    TraitsOut,
    UndoAction,
    UsableAttributesOut,
    show_found,
    show_happened,
    show_image_labels,
    show_saved,
    show_taken_back,
    show_traits,
    show_usable,
)
from app.labels.showing import note_shown
from app.labels.stating import state_trait
from app.projects.access import AnnotatorProject, LeadProject
from app.queue import handing_out
from app.web.dependencies import Db
from taxonomy.applicability import Kind
from taxonomy.tree import Polarity

Before = Annotated[int | None, Query(ge=0, le=LARGEST_KEY)]

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["labels"])

Responses: TypeAlias = dict[int | str, dict[str, Any]]
FILES: Responses = {200: {"content": {each.media_type: {} for each in FORMATS.values()}}}


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


@router.post("/labels/undo")
def api_take_back_last(
    project: AnnotatorProject, action: TakeBack, db: Db, person: CurrentPerson, sight: Sight
) -> TakenBackOut:
    """Take back one's newest action of a sitting that still stands, marks as done among them."""
    saved = undoing.take_back(
        db,
        project,
        by=person,
        operation_id=action.operation_id,
        sitting=action.sitting,
        undoes=action.undoes,
        hidden=not sight,
    )
    image = get_image(db, project, saved.image_id)
    found = reading.find_contradictions_of(db, project, image, suggestions=sight)
    return show_taken_back(saved, found)


@router.get("/images/{image_id:int}/labels")
def api_get_labels(
    project: AnnotatorProject, image_id: int, db: Db, person: CurrentPerson, sight: Sight
) -> ImageLabelsOut:
    """The labels of an image with its label revision, A_pos and A_neg."""
    image = get_image(db, project, image_id)
    if sight:
        note_shown(db, image, person)
    return show_image_labels(
        reading.find_labels(db, project, image, suggestions=sight, viewer_id=person.id)
    )


@router.get("/images/{image_id:int}/traits")
def api_get_traits(project: AnnotatorProject, image_id: int, db: Db) -> TraitsOut:
    """Style and content of an image, as its metadata, people and agents say."""
    image = get_image(db, project, image_id)
    in_force = get_in_force(db, project)
    return show_traits(apply(db, project, in_force.criteria, image).known)


@router.put("/images/{image_id:int}/traits/{kind}/{value}")
def api_state_trait(
    project: AnnotatorProject,
    image_id: int,
    kind: Kind,
    value: str,
    body: TraitIn,
    db: Db,
    person: CurrentPerson,
    sight: Sight,
) -> TraitsOut:
    """Say that an image is in a style or holds some content, that it does not, or take that back.

    412 where someone has said otherwise since `seen`.
    """
    image = state_trait(
        db,
        project,
        image_id,
        kind=kind,
        value=value,
        present=body.present,
        seen=body.seen,
        by=person,
        operation_id=body.operation_id,
        sitting=body.sitting,
        hidden=not sight,
    )
    return show_traits(apply(db, project, get_in_force(db, project).criteria, image).known)


@router.put("/images/{image_id:int}/suggestions")
def api_note_shown(
    project: AnnotatorProject, image_id: int, mark: ShownMark, db: Db, person: CurrentPerson
) -> ShownMark:
    """Note that the suggestions of an image, loaded ahead, have come into view."""
    note_shown(db, get_image(db, project, image_id), person)
    return mark


@router.put("/images/{image_id:int}/labels/{key}/{polarity}")
def api_save_label(
    project: AnnotatorProject,
    image_id: int,
    key: str,
    polarity: Polarity,
    action: LabelAction,
    db: Db,
    person: CurrentPerson,
    sight: Sight,
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
        sitting=action.sitting,
        suggestion_visible=action.suggestion_visible,
        hidden=not sight,
    )
    image = get_image(db, project, image_id)
    handing_out.take(db, [image.id], person)
    return show_saved(saved, reading.find_contradictions_of(db, project, image, suggestions=sight))


@router.post("/images/{image_id:int}/labels/undo")
def api_undo_label(
    project: AnnotatorProject,
    image_id: int,
    action: UndoAction,
    db: Db,
    person: CurrentPerson,
    sight: Sight,
) -> SavedOut:
    """Undo an action of one's own on this image, or the last one not yet undone."""
    saved = undoing.undo(
        db,
        project,
        image_id,
        by=person,
        event_id=action.event_id,
        operation_id=action.operation_id,
        hidden=not sight,
    )
    image = get_image(db, project, image_id)
    return show_saved(saved, reading.find_contradictions_of(db, project, image, suggestions=sight))


@router.get("/images/{image_id:int}/history")
def api_list_history(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    sight: Sight,
    before: Before = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> HistoryOut:
    """What happened to an image's labels, newest first."""
    image = get_image(db, project, image_id)
    if sight:
        note_shown(db, image, person)
    happened, following = history.find_history(
        db,
        project,
        image,
        before=before,
        limit=limit,
        suggestions=sight,
        viewer_id=person.id,
    )
    return HistoryOut(items=[show_happened(each) for each in happened], next=following)


@router.put("/images/{image_id:int}/done")
def api_set_done(
    project: AnnotatorProject,
    image_id: int,
    mark: DoneMark,
    db: Db,
    person: CurrentPerson,
    sight: Sight,
) -> DoneOut:
    """Mark an image's labels as done, or take the mark away."""
    image = saving.set_done(
        db,
        project,
        image_id,
        done=mark.done,
        by=person,
        operation_id=mark.operation_id,
        sitting=mark.sitting,
        allow_undecided=mark.allow_undecided,
        hidden=not sight,
    )
    return DoneOut(done=image.done_at is not None, done_at=image.done_at)


@router.get(
    "/labels/export",
    response_class=Response,
    responses=FILES,
    dependencies=[Depends(refuse_hidden)],
)
def api_export_labels(project: LeadProject, format: ExportFormat = "jsonl") -> Response:
    """Every label of every image in use, as a stream, for as long as it takes.

    Each image stands as it was when its part was read; `revision` says which state that is. An answer that
    breaks off is not whole: the connection then ends without the last chunk.
    """
    chosen = FORMATS[format]
    return StreamingResponse(
        in_pieces(chosen.export(project.id)),
        media_type=chosen.media_type,
        headers={
            "Content-Disposition": f'attachment; filename="{project.slug}-labels{chosen.ending}"'
        },
    )

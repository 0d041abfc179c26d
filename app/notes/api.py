"""Discussions at nodes of the criteria, as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.accounts.access import CurrentPerson
from app.database import LARGEST_KEY
from app.images.access import ProjectImage
from app.labels.access import Viewing
from app.labels.showing import note_told
from app.notes import mentioning, reading, writing
from app.notes.access import InSight, Writing
from app.notes.models import Discussion
from app.notes.schemas import (
    DiscussionOut,
    DiscussionsOut,
    ImageNoteIn,
    MentionOut,
    MentionsOut,
    NamesOut,
    NoteIn,
    NoteOut,
    NotePatch,
    NotesOut,
    ReadIn,
    SettledIn,
)
from app.projects.access import AnnotatorProject
from app.projects.models import Project
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/criteria", tags=["criteria"])
around = APIRouter(prefix="/api/v1/projects/{project}", tags=["criteria"])

Before = Annotated[int | None, Query(ge=1, le=LARGEST_KEY)]
After = Annotated[int, Query(ge=0, le=LARGEST_KEY)]
Limit = Annotated[int, Query(ge=1, le=100)]


def _out(db: Session, project: Project, discussion: Discussion) -> DiscussionOut:
    return DiscussionOut.of(reading.show_discussion(db, project, discussion.id))


def _note(db: Session, discussion: Discussion, note_id: int) -> NoteOut:
    return NoteOut.of(reading.find_notes(db, discussion, after=note_id - 1, limit=1)[0])


@router.get("/discussions", response_model=DiscussionsOut)
def api_list_discussions(
    db: Db,
    project: AnnotatorProject,
    node: str | None = None,
    settled: Annotated[bool | None, Query()] = None,
    before: Before = None,
    limit: Limit = 50,
) -> DiscussionsOut:
    """Discussions, newest first; of one node by key, also one that left the tree; open or settled ones."""
    at = None if node is None else reading.get_any_node(db, project, node)
    found = reading.find_discussions(
        db, project, node=at, settled=settled, before=before, limit=limit + 1
    )
    return DiscussionsOut(
        items=[DiscussionOut.of(each) for each in found[:limit]],
        next=found[limit - 1].discussion.id if len(found) > limit else None,
    )


@router.post("/nodes/{key}/discussions", status_code=201, response_model=DiscussionOut)
def api_start_discussion(
    key: str, body: NoteIn, db: Db, project: AnnotatorProject, by: Writing
) -> DiscussionOut:
    """Begin a discussion at a node with its first note."""
    return _out(db, project, writing.start_discussion(db, project, key, text=body.text, by=by))


@router.get("/discussions/{discussion_id}", response_model=DiscussionOut, dependencies=[InSight])
def api_get_discussion(discussion_id: int, db: Db, project: AnnotatorProject) -> DiscussionOut:
    """One discussion."""
    return DiscussionOut.of(reading.show_discussion(db, project, discussion_id))


@router.put(
    "/discussions/{discussion_id}/settled", response_model=DiscussionOut, dependencies=[InSight]
)
def api_settle_discussion(
    discussion_id: int, body: SettledIn, db: Db, project: AnnotatorProject, by: Writing
) -> DiscussionOut:
    """Settle a discussion or open it again: who began it, experts and leads."""
    settled = writing.settle_discussion(db, project, discussion_id, settled=body.settled, by=by)
    return _out(db, project, settled)


@router.get("/discussions/{discussion_id}/notes", response_model=NotesOut, dependencies=[InSight])
def api_list_notes(
    discussion_id: int, db: Db, project: AnnotatorProject, after: After = 0, limit: Limit = 50
) -> NotesOut:
    """The notes of a discussion, in their order."""
    discussion = writing.get_discussion(db, project, discussion_id)
    found = reading.find_notes(db, discussion, after=after, limit=limit + 1)
    return NotesOut(
        items=[NoteOut.of(each) for each in found[:limit]],
        next=found[limit - 1].note.id if len(found) > limit else None,
    )


@router.post(
    "/discussions/{discussion_id}/notes",
    status_code=201,
    response_model=NoteOut,
    dependencies=[InSight],
)
def api_answer_discussion(
    discussion_id: int, body: NoteIn, db: Db, project: AnnotatorProject, by: Writing
) -> NoteOut:
    """Add a note at the end. 409 where the discussion has been settled."""
    note = writing.answer_discussion(db, project, discussion_id, text=body.text, by=by)
    return _note(db, writing.get_discussion(db, project, discussion_id), note.id)


@router.patch("/notes/{note_id}", response_model=NoteOut)
def api_edit_note(
    note_id: int, body: NotePatch, db: Db, project: AnnotatorProject, by: Writing
) -> NoteOut:
    """Change a note: who wrote it, and leads. 412 with both texts where it was edited since `based_on`."""
    note = writing.edit_note(db, project, note_id, text=body.text, based_on=body.based_on, by=by)
    return _note(db, writing.get_discussion(db, project, note.discussion_id), note.id)


@router.delete("/notes/{note_id}", status_code=204)
def api_delete_note(note_id: int, db: Db, project: AnnotatorProject, by: Writing) -> None:
    """Delete a note: who wrote it, and leads. Where answers follow, its place stays and says so."""
    writing.delete_note(db, project, note_id, by=by)


@around.get("/images/{image_id:int}/discussions", response_model=DiscussionsOut)
def api_list_image_discussions(
    image: ProjectImage,
    db: Db,
    project: AnnotatorProject,
    viewer: Viewing,
    person: CurrentPerson,
    before: Before = None,
    limit: Limit = 50,
) -> DiscussionsOut:
    """What members wrote on one image and its labels, newest first."""
    found = reading.find_discussions(
        db, project, image=image, labels=viewer.suggestions, before=before, limit=limit + 1
    )
    if any(each.discussion.polarity for each in found):
        note_told(db, [image.id], person)
    return DiscussionsOut(
        items=[DiscussionOut.of(each) for each in found[:limit]],
        next=found[limit - 1].discussion.id if len(found) > limit else None,
    )


@around.post("/images/{image_id:int}/discussions", status_code=201, response_model=DiscussionOut)
def api_start_image_discussion(
    image: ProjectImage, body: ImageNoteIn, db: Db, project: AnnotatorProject, by: Writing
) -> DiscussionOut:
    """Begin a discussion on an image, or on one of its labels; `@` and the name of a member reaches them."""
    return _out(db, project, writing.start_on_image(db, project, image, by=by, **body.model_dump()))


@around.get("/mentions", response_model=MentionsOut)
def api_list_mentions(
    db: Db,
    project: AnnotatorProject,
    person: CurrentPerson,
    viewer: Viewing,
    unread: Annotated[bool, Query()] = False,
    before: Before = None,
    limit: Limit = 50,
) -> MentionsOut:
    """The notes that name who asks, newest first; the unread ones where asked."""
    found = mentioning.find_mentions(
        db, project, person, unread=unread, before=before, limit=limit + 1
    )
    if viewer.suggestions:
        note_told(db, mentioning.labelled_images(found[:limit]), person)
    return MentionsOut(
        items=[MentionOut.of(each, labels=viewer.suggestions) for each in found[:limit]],
        next=found[limit - 1].note.id if len(found) > limit else None,
    )


@around.put("/mentions/read", status_code=204)
def api_read_mentions(
    body: ReadIn, db: Db, project: AnnotatorProject, person: CurrentPerson
) -> None:
    """Mark what names who asks as read: all of it, or that of one discussion."""
    mentioning.mark_read(db, project, person, discussion_id=body.discussion)


@around.get("/nameable", response_model=NamesOut)
def api_list_nameable(
    db: Db, project: AnnotatorProject, q: Annotated[str, Query(max_length=80)] = ""
) -> NamesOut:
    """Names of members that begin so, for a box where a note is written; at most eight."""
    return NamesOut(items=list(mentioning.find_nameable(db, project, q)))

"""Discussions at nodes of the criteria, in the panel of a node and as pages of their own; on images; and who is named."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria.reading import get_node, title
from app.database import LARGEST_KEY
from app.errors import Stale
from app.images.access import ProjectImage
from app.images.models import Image
from app.labels.access import Viewer, Viewing
from app.labels.reading import find_labels
from app.labels.showing import note_shown, note_told
from app.notes import mentioning, reading, writing
from app.notes.access import InSight, Writing
from app.notes.forms import ImageNoteForm, NoteEditForm, NoteForm, ReadForm, SettleForm
from app.notes.models import LONGEST, Discussion
from app.notes.writing import Writer
from app.projects.access import AnnotatorProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
around = APIRouter(prefix="/projects/{project}", include_in_schema=False)

Before = Annotated[int | None, Query(ge=1, le=LARGEST_KEY)]
After = Annotated[int, Query(ge=0, le=LARGEST_KEY)]


# Lists -----------------------------------------------------------------------------------------


@router.get("/discussions")
def show_discussions(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    show: Literal["open", "settled", "all"] = "open",
    before: Before = None,
) -> Response:
    """The discussions of the project, newest first; the open ones unless others are asked for."""
    settled = {"open": False, "settled": True, "all": None}[show]
    found = reading.find_discussions(
        db, project, settled=settled, before=before, limit=reading.PAGE + 1
    )
    return answer.show(
        "notes/list.html",
        shown=show,
        **_page(found),
    )


def _page(found: Any) -> dict[str, Any]:
    page = found[: reading.PAGE]
    return {
        "found": page,
        "next": page[-1].discussion.id if len(found) > reading.PAGE else None,
    }


@router.get("/nodes/{key}/notes")
def show_notes(
    key: str, db: Db, answer: Answering, project: AnnotatorProject, before: Before = None
) -> Response:
    """The discussions at one node, also one that left the tree."""
    return _node_page(db, answer, project, key, Form(), before)


def _node_page(
    db: Db,
    answer: Answer,
    project: Project,
    key: str,
    form: Form[NoteForm],
    before: int | None = None,
) -> Response:
    node = reading.get_any_node(db, project, key)
    found = reading.find_discussions(db, project, node=node, before=before, limit=reading.PAGE + 1)
    return answer.show(
        "notes/node.html",
        status=422 if form.errors else 200,
        node=node,
        title=title(node),
        before=reading.count_before(db, node),
        form=form,
        longest=LONGEST,
        **_page(found),
    )


def _in_panel(db: Db, answer: Answer, project: Project, key: str, form: Form[NoteForm]) -> Response:
    """The notes of the panel with the form, and after a new one the mark in the line of the tree."""
    node = get_node(db, project, key)
    context: dict[str, Any] = {"node": node, "notes": reading.notes_at(db, project, node)}
    if form.errors:
        return answer.show("notes/_in_panel.html", status=422, note_form=form, **context)
    return answer.done(
        go_to=answer.path("show_notes", project=project.slug, key=key),
        fragment="notes/_in_panel.html",
        also=("criteria/_row.html",),
        note_form=Form[NoteForm](),
        is_chosen=True,
        open_notes=reading.count_open(db, project).by_key,
        **context,
    )


@router.post("/nodes/{key}/notes")
def submit_note(
    key: str,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    by: Writing,
    form: Annotated[Form[NoteForm], Depends(submitted(NoteForm))],
) -> Response:
    """Begin a discussion at a node."""
    if not form.errors:
        with form.attempt():
            writing.start_discussion(db, project, key, text=form.values.text, by=by)
    if answer.wants_fragment:
        return _in_panel(db, answer, project, key, form)
    if form.errors:
        return _node_page(db, answer, project, key, form)
    return answer.go(answer.path("show_notes", project=project.slug, key=key))


# One discussion --------------------------------------------------------------------------------


def _discussion(
    db: Db,
    answer: Answer,
    project: Project,
    discussion_id: int,
    by: Writer,
    *,
    form: Form[Any] | None = None,
    after: int = 0,
    editing: int | None = None,
    stale: Stale | None = None,
) -> Response:
    shown = reading.show_discussion(db, project, discussion_id)
    found = reading.find_notes(db, shown.discussion, after=after, limit=reading.PAGE + 1)
    notes = found[: reading.PAGE]
    form = form or Form()
    return answer.show(
        "notes/discussion.html",
        status=412 if stale else 422 if form.errors else 200,
        shown=shown,
        notes=notes,
        mine={each.note.id for each in notes if writing.may_change(each.note, by)},
        may_settle=writing.may_settle(shown.discussion, by),
        next=notes[-1].note.id if len(found) > reading.PAGE else None,
        editing=editing,
        stale=stale,
        form=form,
        longest=LONGEST,
        num_naming=mentioning.count_unread_of(db, project, by.person, discussion_id),
    )


@router.get("/discussions/{discussion_id}", dependencies=[InSight])
def show_discussion(
    discussion_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    by: Writing,
    after: After = 0,
    edit: Annotated[int | None, Query(ge=1, le=LARGEST_KEY)] = None,
) -> Response:
    """A discussion with its notes in order; `edit` opens one of them."""
    return _discussion(db, answer, project, discussion_id, by, after=after, editing=edit)


def _go(answer: Answer, project: Project, discussion: Discussion | int) -> Response:
    number = discussion if isinstance(discussion, int) else discussion.id
    return answer.go(answer.path("show_discussion", project=project.slug, discussion_id=number))


@router.post("/discussions/{discussion_id}", dependencies=[InSight])
def submit_answer(
    discussion_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    by: Writing,
    form: Annotated[Form[NoteForm], Depends(submitted(NoteForm))],
) -> Response:
    """Add a note at the end."""
    if not form.errors:
        with form.attempt():
            text = form.values.text
            writing.answer_discussion(db, project, discussion_id, text=text, by=by)
    if form.errors:
        return _discussion(db, answer, project, discussion_id, by, form=form)
    return _go(answer, project, discussion_id)


@router.post("/discussions/{discussion_id}/settled", dependencies=[InSight])
def submit_settled(
    discussion_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    by: Writing,
    form: Annotated[Form[SettleForm], Depends(submitted(SettleForm))],
) -> Response:
    """Settle a discussion, or open it again."""
    settled = form.checked().settled
    writing.settle_discussion(db, project, discussion_id, settled=settled, by=by)
    return _go(answer, project, discussion_id)


@router.post("/discussions/{discussion_id}/notes/{note_id}", dependencies=[InSight])
def submit_note_edit(
    discussion_id: int,
    note_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    by: Writing,
    form: Annotated[Form[NoteEditForm], Depends(submitted(NoteEditForm))],
) -> Response:
    """Change a note. Where someone did so meanwhile, both texts are shown."""
    stale = None
    if not form.errors:
        with form.attempt():
            values = form.values
            try:
                writing.edit_note(
                    db, project, note_id, text=values.text, based_on=values.based_on, by=by
                )
            except Stale as error:
                stale = error
                raise
    if form.errors:
        return _discussion(
            db,
            answer,
            project,
            discussion_id,
            by,
            form=form,
            editing=note_id,
            stale=stale,
        )
    return _go(answer, project, discussion_id)


@router.post("/discussions/{discussion_id}/notes/{note_id}/delete")
def submit_note_deletion(
    discussion_id: int,
    note_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    by: Writing,
) -> Response:
    """Delete a note; where nothing is left the discussion goes with it."""
    shown = reading.show_discussion(db, project, discussion_id)
    left = writing.delete_note(db, project, note_id, by=by)
    if left is not None:
        return _go(answer, project, left)
    if shown.image is not None:
        return _go_to_image(answer, project, shown.image)
    assert shown.node is not None
    return answer.go(answer.path("show_notes", project=project.slug, key=shown.node.key))


# On images -------------------------------------------------------------------------------------


def _go_to_image(answer: Answer, project: Project, image: Image) -> Response:
    return answer.go(answer.path("show_image_notes", project=project.slug, image_id=image.id))


def _image_page(
    db: Db,
    answer: Answer,
    project: Project,
    image: Image,
    by: Writer,
    viewer: Viewer,
    form: Form[ImageNoteForm],
    before: int | None = None,
) -> Response:
    sees = viewer.suggestions
    if sees:
        # Its labels are offered to write about, and notes on them are listed.
        note_shown(db, image, by.person)
    found = reading.find_discussions(
        db, project, image=image, labels=sees, before=before, limit=reading.PAGE + 1
    )
    rows = find_labels(db, project, image).rows if sees else ()
    return answer.show(
        "notes/image.html",
        status=422 if form.errors else 200,
        image=image,
        labels=rows,
        sees=sees,
        form=form,
        longest=LONGEST,
        **_page(found),
    )


@around.get("/images/{image_id:int}/notes")
def show_image_notes(
    image: ProjectImage,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    by: Writing,
    viewer: Viewing,
    before: Before = None,
    attribute: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """What members wrote on one image and its labels, with the form for more."""
    form = Form[ImageNoteForm]({"attribute": attribute})
    return _image_page(db, answer, project, image, by, viewer, form, before)


@around.post("/images/{image_id:int}/notes")
def submit_image_note(
    image: ProjectImage,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    by: Writing,
    viewer: Viewing,
    form: Annotated[Form[ImageNoteForm], Depends(submitted(ImageNoteForm))],
) -> Response:
    """Begin a discussion on an image or on one of its labels."""
    if not form.errors:
        with form.attempt():
            key, _, polarity = form.values.attribute.rpartition("/")
            writing.start_on_image(
                db, project, image, text=form.values.text, by=by, key=key, polarity=polarity
            )
    if form.errors:
        return _image_page(db, answer, project, image, by, viewer, form)
    return _go_to_image(answer, project, image)


# Who is named ----------------------------------------------------------------------------------


@around.get("/mentions")
def show_mentions(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    viewer: Viewing,
    before: Before = None,
) -> Response:
    """The notes that name who asks, newest first."""
    found = mentioning.find_mentions(db, project, person, before=before, limit=reading.PAGE + 1)
    if viewer.suggestions:
        note_told(db, mentioning.labelled_images(found[: reading.PAGE]), person)
    return answer.show(
        "notes/mentions.html",
        mentions=found[: reading.PAGE],
        sees=viewer.suggestions,
        next=found[reading.PAGE - 1].note.id if len(found) > reading.PAGE else None,
    )


@around.post("/mentions")
def submit_mentions_read(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    form: Annotated[Form[ReadForm], Depends(submitted(ReadForm))],
) -> Response:
    """Mark what names who asks as read: all of it, or that of one discussion."""
    discussion_id = form.checked().discussion
    mentioning.mark_read(db, project, person, discussion_id=discussion_id)
    if discussion_id is not None:
        return _go(answer, project, discussion_id)
    return answer.go(answer.path("show_mentions", project=project.slug))

"""The pages of bulk actions: ask, see what it would do, do it, take it back."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.bulk import asking, reading
from app.bulk.forms import BulkForm
from app.bulk.reading import ActionRow
from app.database import LARGEST_KEY
from app.errors import Invalid
from app.images.access import Cursor, PathKey
from app.images.asked import read_asked
from app.images.finding import count_images
from app.labels.access import find_in_force, refuse_hidden
from app.labels.schemas import show_usable
from app.labels.showing import note_told
from app.projects.access import LeadProject
from app.projects.founding import find_members
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(
    prefix="/projects/{project}/bulk",
    include_in_schema=False,
    dependencies=[Depends(refuse_hidden)],
)
SHOWN = 50
MOST_MEMBERS = 200
BulkImages = Annotated[list[int] | None, Query(max_length=asking.MOST_CHOSEN)]


@router.get("")
def show_bulk_actions(
    project: LeadProject, db: Db, answer: Answering, before: Cursor = None
) -> Response:
    """What was done in bulk, newest first."""
    found = reading.find_actions(db, project, before=before, limit=SHOWN + 1)
    return answer.show(
        "bulk/list.html",
        actions=found[:SHOWN],
        next=found[SHOWN - 1].action.id if len(found) > SHOWN else None,
    )


@router.get("/new")
def show_bulk_form(
    project: LeadProject,
    db: Db,
    answer: Answering,
    *,
    query: Annotated[str, Query(max_length=2000)] = "",
    image: BulkImages = None,
    chosen: bool = False,
) -> Response:
    """The form: what is to be done to the images of a filter, or to `chosen` ones."""
    if chosen and not image:
        raise Invalid("No image is chosen.", field="image", hint="Go back, and choose some.")
    typed = {"query": read_asked(query).query, "image": [str(each) for each in image or ()]}
    return _show_form(db, project, answer, Form(typed))


def _show_form(db: Db, project: Project, answer: Answer, form: Form[BulkForm]) -> Response:
    asked = read_asked(str(form.typed.get("query", "")))
    chosen = form.typed.get("image") or []
    in_force = find_in_force(db, project)
    return answer.show(
        "bulk/new.html",
        status=form.status if form.errors else 200,
        form=form,
        chosen=chosen,
        asked=asked,
        total=None
        if chosen
        else count_images(
            db, project, show=asked.show, text=asked.words, narrowing=asked.narrowing
        ),
        attributes=show_usable(in_force).items if in_force else [],
        members=find_members(db, project, limit=MOST_MEMBERS),
    )


@router.post("")
def submit_bulk_action(
    project: LeadProject,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Annotated[Form[BulkForm], Depends(submitted(BulkForm))],
) -> Response:
    """Look at what it would do; nothing is done yet."""
    action = None
    if not form.errors:
        with form.attempt():
            action = asking.ask(db, project, form.values.wish(), by=person)
    if action is None:
        return _show_form(db, project, answer, form)
    return answer.done(
        go_to=answer.path("show_bulk_action", project=project.slug, action_id=action.id)
    )


@router.get("/{action_id}")
def show_bulk_action(
    project: LeadProject,
    action_id: PathKey,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    which: str = "",
    after: Annotated[int, Query(ge=0, le=LARGEST_KEY)] = 0,
) -> Response:
    """One bulk action: what it would do, or what it did, with the images concerned."""
    found = reading.get_action(db, project, action_id)
    which = which or _worth_seeing(found)
    images = reading.find_images(db, found.action, which, after=after, limit=SHOWN + 1)
    if found.node is not None:
        note_told(db, [each.image_id for each in images[:SHOWN]], person)
    return answer.show(
        "bulk/action.html",
        fragment="bulk/_action.html",
        found=found,
        action=found.action,
        job=found.job,
        numbers=reading.count_done(db, found),
        asked=read_asked(found.action.query),
        which=which,
        images=images[:SHOWN],
        next=images[SHOWN - 1].image_id if len(images) > SHOWN else None,
    )


def _worth_seeing(found: ActionRow) -> str:
    """The images that are listed where nobody chose: those that somebody has to look at, else those that change."""
    action = found.action
    if action.undone is not None:
        return "stays" if action.undone["stays"] else "undone"
    if action.taken is not None:
        return "passed" if action.taken["passed"] else "taken"
    return "contradicting" if action.found and action.found["contradicting"] else "change"


@router.post("/{action_id}/take")
def submit_bulk_taking(
    project: LeadProject, action_id: PathKey, db: Db, person: CurrentPerson, answer: Answering
) -> Response:
    """Do it."""
    asking.ask_to_take(db, project, action_id, by=person)
    return _go(answer, project, action_id)


@router.post("/{action_id}/undo")
def submit_bulk_undoing(
    project: LeadProject, action_id: PathKey, db: Db, person: CurrentPerson, answer: Answering
) -> Response:
    """Take it back."""
    asking.ask_to_undo(db, project, action_id, by=person)
    return _go(answer, project, action_id)


@router.post("/{action_id}/again")
def submit_bulk_look(
    project: LeadProject, action_id: PathKey, db: Db, person: CurrentPerson, answer: Answering
) -> Response:
    """Look at the same again, as it is now."""
    return _go(answer, project, asking.ask_again(db, project, action_id, by=person).id)


def _go(answer: Answer, project: Project, action_id: int) -> Response:
    return answer.go(answer.path("show_bulk_action", project=project.slug, action_id=action_id))

"""The labelling page: one image, its labels, one key for each decision."""

from typing import Annotated, Any, Literal, TypeVar
from uuid import uuid4

from fastapi import APIRouter, Cookie, Depends, Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.errors import Invalid, Stale
from app.images.models import Image
from app.labels import reading, saving
from app.labels.access import BIGGEST, get_image
from app.labels.forms import DoneForm, SaveForm, UndoForm
from app.labels.reading import ImageLabels
from app.projects.access import AnnotatorProject
from app.projects.models import Project
from app.web.answer import Answering
from app.web.dependencies import Db
from app.web.forms import Fields, Form, submitted

router = APIRouter(include_in_schema=False)

Suggestions = Literal["show", "hide"]
COOKIE = "morelli_suggestions"
T = TypeVar("T", bound=Fields)


@router.get("/projects/{project}/images/{image_id:int}")
def show_labels(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    suggestions: Suggestions | None = None,
    q: str = "",
    kept: Annotated[str, Cookie(alias=COOKIE)] = "show",
) -> Response:
    """One image with its labels."""
    image = get_image(db, project, image_id)
    hide = (suggestions or kept) == "hide"
    context = _context(db, project, image, person, hide=hide, q=q)
    response = answer.show("labels/page.html", fragment="labels/_labelling.html", **context)
    if suggestions is not None:
        response.set_cookie(COOKIE, suggestions, max_age=31_536_000, samesite="lax", httponly=True)
    return response


@router.post("/projects/{project}/images/{image_id:int}/labels")
def save_label(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Annotated[Form[SaveForm], Depends(submitted(SaveForm))],
) -> Response:
    """Confirm, reject, add or withdraw one attribute."""
    values = _checked(form)
    try:
        saved = saving.save(
            db,
            project,
            image_id,
            key=values.key,
            polarity=values.polarity,
            state=values.state,
            based_on=values.based_on,
            operation_id=values.operation_id,
            by=person,
            suggestion_visible=values.suggestion_visible,
        )
    except Stale as stale:
        image = get_image(db, project, image_id)
        hide = not values.suggestion_visible
        context = _context(db, project, image, person, hide=hide, stale=stale, wanted=values.state)
        return answer.show("labels/page.html", status=412, **context)
    page = answer.path("show_labels", project=project.slug, image_id=image_id)
    return answer.done(go_to=f"{page}#label-{saved.key}-{saved.polarity}")


@router.post("/projects/{project}/images/{image_id:int}/labels/undo")
def undo_label(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Annotated[Form[UndoForm], Depends(submitted(UndoForm))],
) -> Response:
    """Undo an action of one's own."""
    values = _checked(form)
    saved = saving.undo(
        db,
        project,
        image_id,
        by=person,
        event_id=values.event_id,
        operation_id=values.operation_id,
    )
    page = answer.path("show_labels", project=project.slug, image_id=image_id)
    return answer.done(go_to=f"{page}#label-{saved.key}-{saved.polarity}")


@router.post("/projects/{project}/images/{image_id:int}/done")
def set_labels_done(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Annotated[Form[DoneForm], Depends(submitted(DoneForm))],
) -> Response:
    """Mark an image as done and go to the next that is not, or open it again."""
    done = _checked(form).done
    saving.set_done(db, project, image_id, done=done, by=person)
    following = reading.find_next_undone(db, project, image_id) if done else image_id
    return answer.done(
        go_to=answer.path("show_labels", project=project.slug, image_id=following or image_id)
    )


@router.get("/projects/{project}/images/{image_id:int}/history")
def show_label_history(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    before: Annotated[int | None, Query(ge=0, le=BIGGEST)] = None,
) -> Response:
    """Who changed what on this image, and when."""
    image = get_image(db, project, image_id)
    happened, following = reading.find_history(db, project, image, before=before)
    return answer.show(
        "labels/history.html",
        fragment="labels/_history.html",
        image=image,
        happened=happened,
        following=following,
        new_operation=uuid4,
        my_id=person.id,
    )


def _checked(form: Form[T]) -> T:
    if form.errors:
        field, sentence = next(iter(form.errors.items()))
        raise Invalid(f"{field}: {sentence}", field=field, hint="Load the page again.")
    return form.values


def _context(
    db: Session,
    project: Project,
    image: Image,
    person: Person,
    *,
    hide: bool,
    q: str = "",
    stale: Stale | None = None,
    wanted: str = "",
) -> dict[str, Any]:
    labels = reading.find_labels(db, project, image, suggestions=not hide)
    previous, following = reading.find_neighbours(db, project, image.id)
    return {
        "labels": labels,
        "image": image,
        "previous": previous,
        "following": following,
        "next_undone": reading.find_next_undone(db, project, image.id),
        "hide": hide,
        "q": q,
        "found": _find_addable(labels, q),
        "stale": stale,
        "wanted": wanted,
        "new_operation": uuid4,
        "my_id": person.id,
    }


def _find_addable(labels: ImageLabels, q: str) -> list[dict[str, str]]:
    """Attributes that hold the words and can be added under the version in force."""
    if labels.in_force is None or not q.strip():
        return []
    return [
        {
            "key": each.key,
            "polarity": each.polarity,
            "name": each.name,
            "path": " › ".join(each.path),
        }
        for each in reading.find_addable(labels.in_force, q)
    ]

"""The labelling page: one image, its labels, one key for each decision."""

from typing import Annotated, Any, Literal
from uuid import uuid4

from fastapi import APIRouter, Depends, Header, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.accounts.models import Person
from app.database import LARGEST_KEY
from app.errors import Invalid, Stale
from app.examples.reading import find_examples
from app.images import finding
from app.images.access import NarrowingParts
from app.images.models import Image
from app.images.narrowing import EVERYTHING, read_narrowing
from app.images.traits import Trait
from app.labels import history, reading, saving, undoing
from app.labels.access import COOKIE, Sight, get_image, refuse_hidden
from app.labels.export_formats import FORMATS
from app.labels.forms import DoneForm, SaveForm, TraitForm, UndoForm
from app.labels.reading import ImageLabels
from app.labels.sheet import Filter, Sheet
from app.labels.showing import note_shown
from app.labels.stating import state_trait
from app.notes.reading import count_on
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.queue import handing_out
from app.queue.handing_out import claim_next, claim_next_within
from app.queue.progress import find_progress
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False)

Suggestions = Literal["show", "hide"]


async def came_from(
    sight: Sight,
    parts: NarrowingParts,
    show: str = "all",
    words: Annotated[str, Query(max_length=200)] = "",
) -> Filter:
    """The filter in whose order one goes on; what is no filter of this person means all images."""
    try:
        narrowing = read_narrowing(parts, suggestions=sight)
    except Invalid:
        narrowing = EVERYTHING
    return Filter(show if show in finding.filters(suggestions=sight) else "all", words, narrowing)


Within = Annotated[Filter, Depends(came_from)]


@router.get("/projects/{project}/images/{image_id:int}")
def show_labels(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    sight: Sight,
    within: Within,
    request: Request,
    suggestions: Suggestions | None = None,
    q: str = "",
    traits: Literal["open", "closed"] = "closed",
    ahead: Annotated[str, Header(alias="X-Morelli-Ahead")] = "",
) -> Response:
    """One image with its labels. What is loaded ahead is not seen yet."""
    image = get_image(db, project, image_id)
    hide = not sight if suggestions is None else suggestions == "hide"
    if not hide and not ahead:
        note_shown(db, image, person)
    context = _context(db, answer, project, image, person, hide=hide, q=q, within=within)
    context["session"] = _session(request)
    context["traits_open"] = traits == "open"
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
    sight: Sight,
    within: Within,
    request: Request,
    form: Annotated[Form[SaveForm], Depends(submitted(SaveForm))],
) -> Response:
    """Confirm, reject, doubt, add or withdraw one attribute."""
    values = form.checked()
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
            suggestion_visible=values.suggestion_visible and sight,
            hidden=not sight,
        )
    except Stale as stale:
        image = get_image(db, project, image_id)
        context = _context(
            db,
            answer,
            project,
            image,
            person,
            hide=not sight,
            within=within,
            stale=stale,
            wanted=values.state,
        )
        context["session"] = _session(request)
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
    values = form.checked()
    saved = undoing.undo(
        db,
        project,
        image_id,
        by=person,
        event_id=values.event_id,
        operation_id=values.operation_id,
    )
    page = answer.path("show_labels", project=project.slug, image_id=image_id)
    place = f"#label-{saved.key}-{saved.polarity}" if saved.key else ""
    place = "?traits=open" if saved.trait else place
    return answer.done(go_to=f"{page}{place}")


@router.post("/projects/{project}/images/{image_id:int}/done")
def set_labels_done(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    sight: Sight,
    form: Annotated[Form[DoneForm], Depends(submitted(DoneForm))],
) -> Response:
    """Mark an image as done and go to the next that is not, or open it again."""
    values = form.checked()
    done = values.done
    saving.set_done(
        db,
        project,
        image_id,
        done=done,
        by=person,
        operation_id=values.operation_id,
        hidden=not sight,
    )
    following = claim_next(db, project, person, after=image_id) if done else image_id
    return answer.done(
        go_to=answer.path("show_labels", project=project.slug, image_id=following or image_id)
    )


SAID = {"yes": True, "no": False, "": None}


@router.post("/projects/{project}/images/{image_id:int}/traits")
def submit_trait(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    sight: Sight,
    form: Annotated[Form[TraitForm], Depends(submitted(TraitForm))],
) -> Response:
    """Say that the image is in a style or holds some content, that it does not, or take that back."""
    values = form.checked()
    state_trait(
        db,
        project,
        image_id,
        kind=values.kind,
        value=values.value,
        present=SAID[values.present],
        seen=SAID[values.seen],
        by=person,
        operation_id=values.operation_id,
        sitting=values.sitting or None,
        hidden=not sight,
    )
    page = answer.path("show_labels", project=project.slug, image_id=image_id)
    return answer.done(go_to=f"{page}?traits=open")


@router.get("/projects/{project}/images/{image_id:int}/history")
def show_label_history(
    project: AnnotatorProject,
    image_id: int,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    sight: Sight,
    before: Annotated[int | None, Query(ge=0, le=LARGEST_KEY)] = None,
) -> Response:
    """Who changed what on this image, and when. Suggestions that are hidden are so here too."""
    image = get_image(db, project, image_id)
    if sight:
        note_shown(db, image, person)
    happened, following = history.find_history(
        db, project, image, before=before, suggestions=sight, viewer_id=person.id
    )
    return answer.show(
        "labels/history.html",
        fragment="labels/_history.html",
        image=image,
        happened=happened,
        following=following,
        new_operation=uuid4,
        my_id=person.id,
    )


def _session(request: Request) -> int:
    """Which sign-in the page belongs to: a sitting ends with it."""
    held = request.state.sign_in
    return held.id if held is not None else 0


def _page_of(answer: Answer, project: Project, image_id: int | None, within: Filter) -> str:
    if image_id is None:
        return ""
    return answer.path("show_labels", project=project.slug, image_id=image_id) + within.address


def _sheet(answer: Answer, project: Project, image: Image, within: Filter, *, hide: bool) -> Sheet:
    def at(name: str) -> str:
        return answer.path(name, project=project.slug, image_id=image.id)

    here = at("show_labels")
    rest = f"{within.address}&" if within.address else "?"
    images = answer.path("show_images", project=project.slug)
    return Sheet(
        id=str(image.id),
        here=here,
        back=images + within.address.replace("words=", "q="),
        back_to="Images",
        save=at("save_label"),
        done=at("set_labels_done"),
        undo=at("undo_label"),
        api=at("api_get_labels"),
        takeback=answer.path("api_take_back_last", project=project.slug),
        mark=at("api_set_done"),
        shown=at("api_note_shown"),
        hold=answer.path("api_hold_images", project=project.slug),
        history=at("show_label_history"),
        suggestions=f"{here}{rest}suggestions={'show' if hide else 'hide'}",
    )


def _context(
    db: Session,
    answer: Answer,
    project: Project,
    image: Image,
    person: Person,
    *,
    hide: bool,
    within: Filter,
    q: str = "",
    stale: Stale | None = None,
    wanted: str = "",
) -> dict[str, Any]:
    labels = reading.find_labels(db, project, image, suggestions=not hide, viewer_id=person.id)
    previous, following = finding.neighbours(
        db,
        project,
        image.id,
        show=within.show,
        text=within.words,
        narrowing=within.narrowing,
    )
    is_free, following_undone = _open(db, project, person, image, within)
    return {
        "sheet": _sheet(answer, project, image, within, hide=hide),
        "is_done": image.done_at is not None and image.came_back_at is None,
        "is_marked": image.done_at is not None,
        "labels": labels,
        "num_notes": count_on(db, image, labels=not hide),
        "examples": find_examples(db, project, {row.key for row in labels.rows}),
        "traits": _traits(labels),
        "traits_open": False,
        "image": image,
        "previous": previous,
        "following": following,
        "next_undone": _page_of(answer, project, following_undone, within),
        "busy": None if is_free else handing_out.who_is_at(db, image.id, person),
        "progress": find_progress(db, project, person),
        "within": within,
        "hide": hide,
        "q": q,
        "found": _find_addable(labels, q),
        "stale": stale,
        "wanted": wanted,
        "new_operation": uuid4,
        "my_id": person.id,
    }


def _open(
    db: Session, project: Project, person: Person, image: Image, within: Filter
) -> tuple[bool, int | None]:
    """Keep the image for who opens it, and the next one within the filter: whether the first is theirs alone,
    and which the next is.
    """
    if not within.address:
        return handing_out.open_image(db, project, person, image.id)
    is_free = bool(handing_out.take(db, [image.id], person))
    following = claim_next_within(
        db,
        project,
        person,
        show=within.show,
        words=within.words,
        narrowing=within.narrowing,
        after=image.id,
    )
    return is_free, following


def _traits(labels: ImageLabels) -> list[dict[str, Any]]:
    """Every style and content of the criteria, with what is known of it and what people said."""
    if labels.in_force is None:
        return []
    criteria = labels.in_force.criteria
    known: dict[tuple[str, str], Trait] = {(each.kind, each.value): each for each in labels.known}
    listed = [("style", each.id, each.name, "") for each in criteria.styles]
    listed += [("content", each.id, each.name, each.definition) for each in criteria.content]
    words = {said: word for word, said in SAID.items()}
    rows = []
    for kind, value, name, definition in listed:
        trait = known.get((kind, value))
        said = trait.present if trait is not None and trait.source == "person" else None
        rows.append(
            {
                "kind": kind,
                "id": value,
                "name": name,
                "definition": definition,
                "present": trait.present if trait else None,
                "source": trait.source if trait else "",
                "by": trait.by if trait else None,
                "said": words[said],
            }
        )
    return rows


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


@router.get("/projects/{project}/labels/formats", dependencies=[Depends(refuse_hidden)])
def show_label_formats(_: LeadProject, answer: Answering) -> Response:
    """The formats that all labels can be had in."""
    return answer.show("labels/export.html", formats=FORMATS)

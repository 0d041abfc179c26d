"""What a node says beside names and definitions, in the panel of the criteria page."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria import reading
from app.criteria.history import details_at
from app.criteria.pages import attempt, show_panel
from app.criteria.said_forms import (
    ListsForm,
    SaidForm,
    fields_of,
    list_lines,
    read_lists,
    said_in,
)
from app.criteria.saying import list_traits, say
from app.images.traits import set_trait_keys, trait_keys
from app.projects.access import ExpertProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from method.saved_texts import several_lines

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)


def _show(
    db: Db,
    answer: Answer,
    project: Project,
    key: str,
    form: Form[Any] | None = None,
    status: int = 200,
) -> Response:
    node, lists = reading.get_node(db, project, key), reading.get_criteria(db, project).details
    more = {
        "standing": fields_of(node.details),
        "contents": lists.get("content", {}),
        "styles": lists.get("styles", {}),
    }
    return show_panel(
        db,
        answer,
        project,
        key,
        mode="details",
        form=form,
        status=status,
        is_stale=status == 412,
        more=more,
    )


@router.get("/nodes/{key}/details")
def show_details(key: str, db: Db, answer: Answering, project: ExpertProject) -> Response:
    """A form for other names, links, notes, prompt wordings, applicability and exclusions."""
    return _show(db, answer, project, key)


@router.post("/nodes/{key}/details")
def submit_details(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[Any], Depends(submitted(SaidForm))],
) -> Response:
    """Change what a node says beside names and definitions."""
    status = 422
    if not form.errors:
        with attempt(form) as outcome:
            node = reading.get_node(db, project, key)
            is_pair = node.kind == "pair"
            say(
                db,
                project,
                key,
                based_on=form.values.based_on,
                by=person,
                said=said_in(form.values.model_dump(), node),
                relation=form.values.relation if is_pair else None,
                exclusive=None if is_pair else form.values.exclusive,
            )
        status = outcome.status
    if not form.errors:
        here = answer.path("show_criteria", project=project.slug)
        return answer.done(go_to=f"{here}?node={key}")
    if status == 412:
        _follow_what_was_not_touched(db, project, key, form)
    return _show(db, answer, project, key, form, status)


def _follow_what_was_not_touched(db: Db, project: Project, key: str, form: Form[Any]) -> None:
    """Where the person left a field as they saw it, show what stands there now."""
    node = reading.get_node(db, project, key)
    seen = fields_of(details_at(db, node, form.values.based_on))
    now = fields_of(node.details)
    for field, value in seen.items():
        typed = form.typed.get(field, [] if isinstance(value, list) else "")
        same = typed if isinstance(typed, list) else several_lines(str(typed))
        if same == value:
            form.typed[field] = now[field]


# What nodes may name -----------------------------------------------------------------------------


@router.get("/lists")
def show_lists(db: Db, answer: Answering, project: ExpertProject) -> Response:
    """Content and styles that nodes may name, and where those of an image are read from."""
    return _show_lists(db, answer, project, Form())


def _show_lists(
    db: Db, answer: Answer, project: Project, form: Form[Any], status: int = 200
) -> Response:
    row = reading.get_criteria(db, project)
    keys = {f"{kind}_keys": ", ".join(names) for kind, names in trait_keys(project).items()}
    standing = list_lines(row.details) | keys
    return answer.show(
        "criteria/lists.html",
        status=status,
        form=form,
        standing=standing,
        revision=row.revision,
    )


@router.post("/lists")
def submit_lists(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[ListsForm], Depends(submitted(ListsForm))],
) -> Response:
    """Set both lists, and the keys of metadata that style and content are read from."""
    status = 422
    if not form.errors:
        values = form.values
        with attempt(form) as outcome, db.begin_nested():
            list_traits(
                db,
                project,
                based_on=values.based_on,
                by=person,
                **read_lists(values.content, values.styles),
            )
            set_trait_keys(
                project,
                {"style": values.style_keys.split(","), "content": values.content_keys.split(",")},
            )
        status = outcome.status
    if form.errors:
        return _show_lists(db, answer, project, form, status)
    return answer.done(go_to=answer.path("show_lists", project=project.slug))

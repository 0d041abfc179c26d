"""Kept filters: their address, and the list of them."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.filters.forms import FilterForm
from app.filters.keeping import drop_filter, find_filters, get_filter, keep_filter
from app.images.access import PathKey
from app.projects.access import AnnotatorProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(prefix="/projects/{project}/filters", include_in_schema=False)


def _show(
    db: Db, answer: Answer, project: Project, person: CurrentPerson, form: Form[FilterForm]
) -> Response:
    return answer.show(
        "filters/list.html",
        status=form.status if form.errors else 200,
        kept=find_filters(db, project, person),
        form=form,
    )


@router.get("")
def show_filters(
    db: Db, answer: Answering, project: AnnotatorProject, person: CurrentPerson, query: str = ""
) -> Response:
    """One's own filters and those that are shared; with a query the form to keep it."""
    return _show(db, answer, project, person, Form({"query": query[:2000]} if query else {}))


@router.post("")
def submit_filter(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
    form: Annotated[Form[FilterForm], Depends(submitted(FilterForm))],
) -> Response:
    """Keep a filter."""
    if not form.errors:
        with form.attempt():
            keep_filter(db, project, by=person, **form.values.model_dump())
    if form.errors:
        return _show(db, answer, project, person, form)
    return answer.done(go_to=answer.path("show_filters", project=project.slug))


@router.get("/{filter_id}")
def show_filter(
    filter_id: PathKey, db: Db, answer: Answering, project: AnnotatorProject, person: CurrentPerson
) -> Response:
    """The images that a kept filter finds now."""
    kept = get_filter(db, project, filter_id, person)
    wall = answer.path("show_images", project=project.slug)
    return RedirectResponse(f"{wall}?{kept.query}", status_code=303)


@router.post("/{filter_id}/drop")
def submit_dropped_filter(
    filter_id: PathKey, db: Db, answer: Answering, project: AnnotatorProject, person: CurrentPerson
) -> Response:
    """Let a filter go."""
    drop_filter(db, project, filter_id, by=person)
    return answer.done(go_to=answer.path("show_filters", project=project.slug))

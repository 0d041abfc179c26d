"""Moving a node in the panel of the criteria page: choosing a place, what it means, and the move."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria import reading
from app.criteria.forms import MoveForm
from app.criteria.pages import attempt, show_panel
from app.criteria.placing import find_neighbours, find_places, get_place, move
from app.projects.access import ExpertProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
PAGE = 50


@router.get("/nodes/{key}/move")
def show_move(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    to: str | None = None,
    q: Annotated[str, Query(max_length=200)] = "",
    after: str | None = None,
) -> Response:
    """Choose where a node goes; with `to` (empty: the top), what going there means."""
    if to is not None:
        return _show_chosen(db, answer, project, key, to or None)
    # Who looks for a place is told why it has no room; else those alone are shown that have.
    places, more = find_places(
        db, project, key, text=q, possible=not q.strip(), after=after, limit=PAGE
    )
    context = {"places": places, "next": more, "words": q}
    return show_panel(db, answer, project, key, mode="move", more=context)


def _show_chosen(
    db: Db,
    answer: Answer,
    project: Project,
    key: str,
    parent: str | None,
    *,
    form: Form[MoveForm] | None = None,
    status: int = 200,
) -> Response:
    place = get_place(db, project, key, parent)
    neighbours = find_neighbours(db, project, key, parent)
    context: dict[str, Any] = {
        "place": place,
        "neighbours": [(each.key, reading.title(each)) for each in neighbours if each.key != key],
        "follower": _follower([each.key for each in neighbours], key),
    }
    return show_panel(
        db,
        answer,
        project,
        key,
        mode="place",
        form=form,
        status=status,
        is_stale=status == 412,
        more=context,
    )


def _follower(neighbours: list[str], key: str) -> str:
    """The key of what stands after the node now, or an empty text where it is last or elsewhere."""
    if key not in neighbours[:-1]:
        return ""
    return neighbours[neighbours.index(key) + 1]


@router.post("/nodes/{key}/move")
def submit_move(
    key: str,
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[MoveForm], Depends(submitted(MoveForm))],
) -> Response:
    """Put a node below another dimension, or at another place among its neighbours."""
    status, parent = 422, str(form.typed.get("parent") or "") or None
    if not form.errors:
        values = form.values
        with attempt(form) as outcome:
            move(
                db,
                project,
                key,
                parent=parent,
                before=values.before or None,
                based_on=values.based_on,
                by=person,
            )
        status = outcome.status
        if not form.errors:
            here = answer.path("show_criteria", project=project.slug)
            return answer.done(go_to=f"{here}?node={key}")
    return _show_chosen(db, answer, project, key, parent, form=form, status=status)

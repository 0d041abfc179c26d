"""History, import and export of the criteria. The tree itself, which shows label counts, stands in
`app.versions.pages`, the room above criteria and labels.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, File, Query, UploadFile
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.criteria import loading, reading
from app.criteria.exporting import export_text
from app.criteria.history import find_changes
from app.errors import AppError, Conflict, Invalid
from app.projects.access import AnnotatorProject, ExpertProject
from app.projects.models import Project
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from taxonomy.formats.data import MAX_BYTES
from taxonomy.tree import counts

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
PAGE = 50


@router.get("/history")
def show_criteria_history(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """Every recorded change, newest first."""
    found = find_changes(db, project, before=before, limit=PAGE + 1)
    return answer.show(
        "criteria/history.html",
        error=None,
        changes=found[:PAGE],
        next=found[PAGE - 1].revision if len(found) > PAGE else None,
    )


def _import_page(
    db: Db, answer: Answer, project: Project, error: AppError | None = None
) -> Response:
    return answer.show(
        "criteria/import.html",
        status=error.status if error else 200,
        is_empty=not reading.find_nodes(db, project),
        error=error,
        problems=error.details.get("problems", []) if error else [],
        painting=counts(loading.painting_criteria()),
    )


@router.get("/import")
def show_criteria_import(db: Db, answer: Answering, project: ExpertProject) -> Response:
    """Load criteria from a file, or begin with those for paintings."""
    return _import_page(db, answer, project)


@router.post("/import")
def submit_criteria_import(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    file: Annotated[UploadFile | str | None, File()] = None,
) -> Response:
    """Load criteria from a YAML or JSON file into a project that has none."""
    try:
        if file is None or isinstance(file, str) or not file.filename:
            raise Invalid("Please choose a file.", field="file")
        text = loading.decode(file.file.read(MAX_BYTES + 1))
        loading.load_text(db, project, text, by=person)
    except (Invalid, Conflict) as error:
        return _import_page(db, answer, project, error)
    return RedirectResponse(answer.path("show_criteria", project=project.slug), 303)


@router.post("/import/painting")
def submit_painting_criteria(
    db: Db, answer: Answering, project: ExpertProject, person: CurrentPerson
) -> Response:
    """Begin with the criteria for paintings that come with the application."""
    try:
        loading.load_criteria(db, project, loading.painting_criteria(), by=person)
    except Conflict as error:
        return _import_page(db, answer, project, error)
    return RedirectResponse(answer.path("show_criteria", project=project.slug), 303)


@router.get("/export")
def export_criteria(
    db: Db,
    project: AnnotatorProject,
    format: Literal["yaml", "json"] = "yaml",
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The working criteria or a published version as a file."""
    name, text = export_text(db, project, format=format, number=version)
    return Response(
        text,
        media_type="application/json" if format == "json" else "application/yaml",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )

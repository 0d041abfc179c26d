"""Criteria in and out of files: what each format holds, what an import would change, and doing it."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Query, UploadFile
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.criteria import importing, loading, reading, uploads
from app.criteria.editions import NewerEdition, find_newer_edition
from app.criteria.exporting import export_file
from app.criteria.forms import EditionForm, ImportForm
from app.errors import AppError, Conflict, Invalid, Stale
from app.projects.access import AnnotatorProject, ExpertProject
from app.projects.models import Project
from app.versions.importing import foresee_labels, import_criteria
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from taxonomy.editions import Both
from taxonomy.formats.data import MAX_BYTES
from taxonomy.formats.files import ENDINGS, FORMATS, FormatName
from taxonomy.shipped import painting_criteria
from taxonomy.tree import Criteria, counts

router = APIRouter(prefix="/projects/{project}/criteria", include_in_schema=False)
# Of a preview: more are in the answer of the API and on the command line.
SHOWN = 300


@router.get("/formats")
def show_criteria_formats(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The formats that the working criteria or a published version can be had in."""
    if version is not None:
        reading.get_version(db, project, version)
    return answer.show("criteria/export.html", formats=FORMATS, number=version)


@router.get("/export")
def export_criteria(
    db: Db,
    project: AnnotatorProject,
    format: FormatName = "yaml",
    version: Annotated[int | None, Query(ge=1)] = None,
) -> Response:
    """The working criteria or a published version as a file."""
    name, content = export_file(db, project, format=format, number=version)
    return Response(
        content,
        media_type=FORMATS[format].media_type,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _import_page(
    db: Db, answer: Answer, project: Project, error: AppError | None = None, file: str = ""
) -> Response:
    return answer.show(
        "criteria/import.html",
        status=error.status if error else 200,
        is_empty=not reading.find_nodes(db, project),
        error=error,
        file=file,
        endings=ENDINGS,
        problems=error.details.get("problems", []) if error else [],
        painting=counts(painting_criteria()),
    )


@router.get("/import")
def show_criteria_import(db: Db, answer: Answering, project: ExpertProject) -> Response:
    """Choose a file, or in an empty project begin with the criteria for paintings."""
    return _import_page(db, answer, project)


@router.post("/import")
def submit_criteria_import(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    file: Annotated[UploadFile | str | None, File()] = None,
) -> Response:
    """Load a file into an empty project; of any other show what the file would change."""
    name = ""
    try:
        if file is None or isinstance(file, str) or not file.filename:
            raise Invalid("Please choose a file.", field="file")
        name = file.filename
        new = uploads.read_upload(db, project, name, file.file.read(MAX_BYTES + 1))
        if reading.find_nodes(db, project):
            return _preview(db, answer, project, new, name)
        loading.load_criteria(db, project, new, by=person)
    except (Invalid, Conflict) as error:
        return _import_page(db, answer, project, error, name)
    return RedirectResponse(answer.path("show_criteria", project=project.slug), 303)


def _preview(
    db: Db,
    answer: Answer,
    project: Project,
    new: Criteria,
    name: str,
    *,
    status: int = 200,
    form: Form[Any] | None = None,
    error: AppError | None = None,
    both: Sequence[Both] | None = None,
) -> Response:
    """What a file would change; of a newer edition `both` has what people choose of."""
    found = importing.foresee(db, project, new)
    return answer.show(
        "criteria/import_preview.html",
        status=status,
        file=name,
        content=uploads.pack(new) if both is None else None,
        both=both,
        titles={each.key: _title(found.current, each.key) for each in both or ()},
        found=found,
        changes=found.changes[:SHOWN],
        labels=foresee_labels(db, project, found),
        errors=[each for each in found.problems if each.severity == "error"],
        num_warnings=sum(each.severity == "warning" for each in found.problems),
        form=form or Form[ImportForm](),
        error=error,
    )


def _title(criteria: Criteria, key: str) -> str:
    entry = criteria.find(key)
    return reading.title(entry.node) if entry else criteria.name


@router.post("/import/apply")
def submit_import(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[ImportForm], Depends(submitted(ImportForm))],
) -> Response:
    """Make the changes that were shown; where the criteria changed since, show them anew."""
    values: Any = form.values if not form.errors else None
    try:
        if values is None:
            message = "What was shown is no longer there; choose the file again."
            raise Invalid(message, field="content")
        new = uploads.unpack(values.content)
    except Invalid as error:
        return _import_page(db, answer, project, error)
    try:
        import_criteria(
            db,
            project,
            new,
            based_on=values.based_on,
            by=person,
            names_moved=values.names_moved,
        )
    except (Conflict, Stale) as error:
        return _preview(
            db, answer, project, new, values.file, status=error.status, form=form, error=error
        )
    except Invalid as error:
        return _import_page(db, answer, project, error, values.file)
    return RedirectResponse(answer.path("show_criteria_history", project=project.slug), 303)


@router.get("/edition")
def show_newer_edition(db: Db, answer: Answering, project: ExpertProject) -> Response:
    """What taking the newest edition of the shipped criteria over would change."""
    newer = find_newer_edition(db, project)
    if newer is None:  # It was taken over since the link was shown.
        return RedirectResponse(answer.path("show_criteria", project=project.slug), 303)
    return _preview(db, answer, project, newer.criteria, _edition(newer), both=newer.both)


def _edition(newer: NewerEdition) -> str:
    return f"edition {newer.newest}"


@router.post("/edition")
def submit_newer_edition(
    db: Db,
    answer: Answering,
    project: ExpertProject,
    person: CurrentPerson,
    form: Annotated[Form[EditionForm], Depends(submitted(EditionForm))],
) -> Response:
    """Take it over as it was shown, with the edition's words where those were chosen."""
    if form.errors:
        return show_newer_edition(db, answer, project)
    values = form.values
    shown = find_newer_edition(db, project)
    if shown is None:
        return RedirectResponse(answer.path("show_criteria", project=project.slug), 303)
    try:
        newer = find_newer_edition(db, project, values.theirs) or shown
        import_criteria(
            db,
            project,
            newer.criteria,
            based_on=values.based_on,
            by=person,
            names_moved=values.names_moved,
        )
    except (Conflict, Invalid, Stale) as error:
        return _preview(
            db,
            answer,
            project,
            shown.criteria,
            _edition(shown),
            status=error.status,
            form=form,
            error=error,
            both=shown.both,
        )
    return RedirectResponse(answer.path("show_criteria_history", project=project.slug), 303)


@router.post("/import/painting")
def submit_painting_criteria(
    db: Db, answer: Answering, project: ExpertProject, person: CurrentPerson
) -> Response:
    """Begin with the criteria for paintings that come with the application."""
    try:
        loading.load_criteria(db, project, painting_criteria(), by=person)
    except Conflict as error:
        return _import_page(db, answer, project, error)
    return RedirectResponse(answer.path("show_criteria", project=project.slug), 303)

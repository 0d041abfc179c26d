"""The pages that take in a file of labels: send it, see what it would change, import it."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.errors import Invalid
from app.images.access import Cursor, PathKey, UploadedFiles
from app.label_imports import importing
from app.label_imports.files import ENDINGS
from app.label_imports.forms import LEAVE_OUT, OptionsForm
from app.label_imports.importing import ImportRow
from app.label_imports.options import Options
from app.labels.access import get_in_force
from app.labels.schemas import show_usable
from app.projects.access import LeadProject
from app.projects.models import Project
from app.settings import settings
from app.web.answer import Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/labels")
SHOWN = 20
Answers = Annotated[Form[OptionsForm], Depends(submitted(OptionsForm))]


@router.get("/import")
def show_label_import_form(
    project: LeadProject, db: Db, answer: Answering, before: Cursor = None
) -> Response:
    """Where a file is chosen, and how earlier ones went; for htmx the latter only."""
    found = importing.find_imports(db, project, before=before, limit=SHOWN + 1)
    return answer.show(
        "label_imports/import.html",
        fragment="label_imports/_imports.html",
        imports=found[:SHOWN],
        next=found[SHOWN - 1].row.id if len(found) > SHOWN else None,
        is_live=before is None and any(each.is_working for each in found),
        endings=",".join(ENDINGS),
        limit_mb=settings().max_upload_mb,
    )


@router.post("/import")
def submit_label_file(
    project: LeadProject, db: Db, person: CurrentPerson, answer: Answering, source: UploadedFiles
) -> Response:
    row = importing.start_import(db, project, source.spec["token"], by=person, options=Options())
    return answer.done(
        go_to=answer.path("show_label_import", project=project.slug, import_id=row.id)
    )


@router.get("/imports/{import_id}")
def show_label_import(
    project: LeadProject, import_id: PathKey, db: Db, answer: Answering
) -> Response:
    """One file: what it would change and what it asks, or what importing it did."""
    found = importing.get_import(db, project, import_id)
    return answer.show(
        "label_imports/found.html",
        fragment="label_imports/_found.html",
        **_context(db, project, found),
    )


def _context(db: Db, project: Project, found: ImportRow) -> dict[str, Any]:
    asks = found.row.found is not None and (
        found.row.found["unknown_attributes"]["number"] or found.row.options.get("attributes")
    )
    attributes = show_usable(get_in_force(db, project)).items if asks else []
    return {
        "found": found,
        "row": found.row,
        "job": found.job,
        "options": Options.of(found.row.options),
        "attributes": attributes,
        "leave_out": LEAVE_OUT,
    }


@router.post("/imports/{import_id}/look")
def submit_label_answers(
    project: LeadProject,
    import_id: PathKey,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Answers,
) -> Response:
    importing.answer(db, project, import_id, _options(form), by=person)
    return answer.go(answer.path("show_label_import", project=project.slug, import_id=import_id))


@router.post("/imports/{import_id}/take")
def submit_label_import(
    project: LeadProject,
    import_id: PathKey,
    db: Db,
    person: CurrentPerson,
    answer: Answering,
    form: Answers,
) -> Response:
    importing.ask_to_take(db, project, import_id, _options(form), by=person)
    return answer.go(answer.path("show_label_import", project=project.slug, import_id=import_id))


def _options(form: Form[OptionsForm]) -> Options:
    if form.errors:
        field, sentence = next(iter(form.errors.items()))
        raise Invalid(f"{field}: {sentence}", field=field, hint="Load the page again.")
    return form.values.options()

"""Imports of labels for programs: send a file, look at what it would change, import it."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.accounts.access import CurrentPerson
from app.images.access import Cursor, PathKey, UploadedFiles
from app.label_imports import importing
from app.label_imports.schemas import LabelImportOut, LabelImportPage, OptionsIn
from app.projects.access import LeadProject
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/labels/imports", tags=["labels"])
BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["files"],
                    "properties": {"files": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


@router.get("")
def api_list_label_imports(
    project: LeadProject,
    db: Db,
    before: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> LabelImportPage:
    """Files of labels, newest first."""
    found = importing.find_imports(db, project, before=before, limit=limit + 1)
    return LabelImportPage(
        items=[LabelImportOut.of(each) for each in found[:limit]],
        next=found[limit - 1].row.id if len(found) > limit else None,
    )


@router.post("", status_code=202, openapi_extra=BODY)
def api_send_labels(
    project: LeadProject, db: Db, person: CurrentPerson, source: UploadedFiles
) -> LabelImportOut:
    """Send one file of labels: .jsonl, .csv, .parquet, or .json of Label Studio. Nothing is imported yet.

    A worker looks at it; then `found` says what importing it would do.
    """
    options = OptionsIn().options()
    row = importing.start_import(db, project, source.spec["token"], by=person, options=options)
    return LabelImportOut.of(importing.get_import(db, project, row.id))


@router.get("/{import_id}")
def api_get_label_import(project: LeadProject, import_id: PathKey, db: Db) -> LabelImportOut:
    """One file of labels: what it would change, or what it did."""
    return LabelImportOut.of(importing.get_import(db, project, import_id))


@router.post("/{import_id}/look", status_code=202)
def api_look_at_labels(
    project: LeadProject, import_id: PathKey, body: OptionsIn, db: Db, person: CurrentPerson
) -> LabelImportOut:
    """Look at the file again, under these answers. Nothing is imported."""
    importing.answer(db, project, import_id, body.options(), by=person)
    return LabelImportOut.of(importing.get_import(db, project, import_id))


@router.post("/{import_id}/take", status_code=202)
def api_take_labels(
    project: LeadProject, import_id: PathKey, body: OptionsIn, db: Db, person: CurrentPerson
) -> LabelImportOut:
    """Import the file. 409 where lines make no sense, or something it asks is not answered yet."""
    importing.ask_to_take(db, project, import_id, body.options(), by=person)
    return LabelImportOut.of(importing.get_import(db, project, import_id))

"""Loads a run through its project, and serves only what the run has recorded."""

from typing import Annotated

from fastapi import Depends
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response, StreamingResponse

from app.projects.access import AnnotatorProject
from app.runs import reading
from app.runs.models import Run
from app.web.dependencies import Db

# Nothing in a file that training left may ever run.
INERT = {"Content-Security-Policy": "sandbox; default-src 'none'"}


def run_of_project(project: AnnotatorProject, run_id: int, db: Db) -> Run:
    """Policy: members of the project; the run in the path."""
    return reading.get_run(db, project, run_id)


ProjectRun = Annotated[Run, Depends(run_of_project)]


def sample(db: Db, run: Run, file: str) -> Response:
    """The bytes of a sample image. The same prompt, seed and step give the same image again."""
    headers = INERT | {"Cache-Control": "private, max-age=3600"}
    return FileResponse(reading.sample_path(db, run, file), media_type="image/png", headers=headers)


def adapter(run: Run, *, zipped: bool) -> Response:
    """The weights of a finished run, alone or with their model card in a ZIP file."""
    if not zipped:
        return FileResponse(
            reading.adapter_path(run),
            media_type="application/octet-stream",
            filename=f"{run.folder}.safetensors",
            headers=INERT,
        )
    packed = reading.open_adapter_zip(run)
    return StreamingResponse(
        iter(lambda: packed.read(256 * 1024), b""),
        media_type="application/zip",
        headers=INERT | {"Content-Disposition": f'attachment; filename="{run.folder}.zip"'},
        background=BackgroundTask(packed.close),
    )

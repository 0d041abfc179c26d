"""A storage of its own for each test, and imports done at once, as the worker would."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from app.database import Json, unit_of_work
from app.images import importing
from app.images.models import ImageImport
from app.images.sources import Source, path_source
from app.projects.models import Project
from tests.factories import Make

Importing = Callable[[str | Path | Source], ImageImport]


@pytest.fixture(autouse=True)
def _in_own_storage(own_storage: None) -> None:
    pass


@pytest.fixture
def project(make: Make) -> Project:
    return make.project("paintings")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder to import from."""
    made = tmp_path / "from"
    made.mkdir()
    return made


def quiet(*, done: int, total: int | None, message: str = "", **more: object) -> None:
    """Somebody who is told how far an import is and does not mind."""


@pytest.fixture
def do_import(db: Session, project: Project) -> Importing:
    """Imports a path or source to its end and returns the import's row."""

    def do(what: str | Path | Source) -> ImageImport:
        source = what if isinstance(what, Source) else path_source(str(what))
        row = importing.create_import(db, project, source=source.kind, origin=source.origin)
        db.commit()
        run(row.id, source.spec)
        db.refresh(row)
        db.commit()
        return row

    return do


def run(import_id: int, spec: Json) -> Json:
    """What the worker's handler does, in this process."""
    return importing.run_import(import_id, spec, transaction=unit_of_work, report=quiet)

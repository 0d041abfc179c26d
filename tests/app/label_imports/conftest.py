"""A project with labels, one with the same criteria and images and none, and files that go between them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import CriteriaVersion, Node
from app.database import Json
from app.images.models import Image
from app.jobs.models import Job
from app.label_imports import importing
from app.label_imports.options import Options
from app.labels.export_formats import FORMATS, ExportFormat
from app.labels.models import Label, LabelEvent
from app.projects.models import Membership, Project
from tests.app.labels.conftest import Bench, bench
from tests.factories import Make
from worker import label_importing, ledger

__all__ = ["bench"]


@pytest.fixture(autouse=True)
def _in_own_storage(own_storage: None) -> None:
    pass


COPIED = ("key", "position", "name", "exclusive", "relation", "positive_name", "negative_name")


class Copy:
    """A project with the criteria and images of another; its verbs do what a worker would."""

    def __init__(self, db: Session, make: Make, source: Bench) -> None:
        self.db = db
        self.make = make
        self.lea: Person = source.people.lea
        self.project: Project = make.project("copy")
        for person in (self.lea, source.people.ben):
            role = "lead" if person is self.lea else "annotator"
            db.add(Membership(project_id=self.project.id, person_id=person.id, role=role))
        self.nodes = self._tree(source)
        self.version: CriteriaVersion = make.version(self.project)
        self.image: Image = make.image(
            self.project, sha256=source.image.sha256, name=source.image.name
        )

    def _tree(self, source: Bench) -> dict[str, Node]:
        made: dict[int, Node] = {}
        rows = self.db.scalars(
            select(Node).where(Node.project_id == source.project.id).order_by(Node.id)
        )
        for node in rows.all():
            values = {
                name: getattr(node, name) for name in COPIED if getattr(node, name) is not None
            }
            parent = made.get(node.parent_id or 0)
            if node.kind == "dimension":
                made[node.id] = self.make.dimension(self.project, parent=parent, **values)
            else:
                assert parent is not None
                made[node.id] = self.make.pair(self.project, parent, **values)
        return {node.key: node for node in made.values()}

    def take(self, file: Path, options: Options = Options(), *, dry_run: bool = False) -> Json:  # noqa: B008
        """Import a file as the command does."""
        self.db.commit()
        found = importing.import_path(
            self.project.slug,
            file,
            options,
            by=self.lea.email,
            dry_run=dry_run,
            report=lambda _: None,
            tell=lambda _: None,
        )
        self.db.rollback()
        self.db.expire_all()
        return found

    def states(self) -> dict[tuple[str, str], str]:
        rows = self.db.execute(
            select(Node.key, Label.polarity, Label.state)
            .join(Node, Node.id == Label.node_id)
            .where(Label.project_id == self.project.id)
        )
        return {(key, polarity): state for key, polarity, state in rows}

    def label(self, key: str, polarity: str = "positive") -> Label:
        return self.db.scalars(
            select(Label).where(Label.node_id == self.nodes[key].id, Label.polarity == polarity)
        ).one()

    def events(self) -> list[LabelEvent]:
        query = select(LabelEvent).where(LabelEvent.image_id == self.image.id)
        return list(self.db.scalars(query.order_by(LabelEvent.id)))


@pytest.fixture
def copy(db: Session, make: Make, bench: Bench) -> Copy:
    return Copy(db, make, bench)


@pytest.fixture
def exported(tmp_path: Path) -> Callable[[Project, ExportFormat], Path]:
    """Writes an export of a project to a file."""

    def write(project: Project, format: ExportFormat) -> Path:
        to = tmp_path / f"{project.slug}{FORMATS[format].ending}"
        to.write_bytes(b"".join(FORMATS[format].export(project.id)))
        return to

    return write


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    """Writes a file of one label a line, of the first image."""

    def write(*labels: dict[str, Any], name: str = "labels.jsonl") -> Path:
        to = tmp_path / name
        to.write_text("".join(json.dumps(each) + "\n" for each in labels))
        return to

    return write


@pytest.fixture
def work(copy: Copy) -> Callable[[], None]:
    """A worker does what waits."""

    def do() -> None:
        copy.db.rollback()
        copy.db.expire_all()
        for job_id in copy.db.scalars(select(Job.id).where(Job.state == "queued")).all():
            assert ledger.run(job_id, {"label_import": label_importing.run})
        copy.db.rollback()
        copy.db.expire_all()

    return do

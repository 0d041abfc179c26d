"""Importing labels: taking a file in, looking at it, and then storing what it says. The verbs that pages, API, command and jobs call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json, unit_of_work
from app.errors import Conflict, Invalid, NotFound
from app.images import uploads
from app.jobs.models import OPEN_STATES, Job
from app.jobs.queueing import submit
from app.label_imports.files import format_of
from app.label_imports.looking import Report, look
from app.label_imports.models import LabelImport
from app.label_imports.options import Options
from app.label_imports.taking import Transaction, refuse_unready, take
from app.labels.access import get_in_force
from app.projects.acting import get_actor
from app.projects.founding import get_project
from app.projects.models import Project
from method.files import hash_file

JOB = "label_import"


@dataclass(frozen=True)
class ImportRow:
    """A file with the job that works on it, and who sent it."""

    row: LabelImport
    job: Job | None
    by: str

    @property
    def is_working(self) -> bool:
        return self.job is not None and self.job.state in OPEN_STATES


def add_file(
    db: Session,
    project: Project,
    path: Path,
    *,
    name: str,
    token: str | None,
    by: Person,
    options: Options,
) -> LabelImport:
    """Note a file of labels. Raises Invalid for one of no known format or without content, Conflict before the
    first publication of the criteria.
    """
    kind = format_of(name)
    get_in_force(db, project)
    size = path.stat().st_size
    if not size:
        raise Invalid(f"{name} is empty.", field="files")
    row = LabelImport(
        project_id=project.id,
        name=name[-300:],
        format=kind,
        sha256=hash_file(path),
        bytes=size,
        token=token,
        options=options.as_json(),
        created_by=by.id,
    )
    db.add(row)
    db.flush()
    return row


def start_import(
    db: Session, project: Project, token: str, *, by: Person, options: Options
) -> LabelImport:
    """Take an uploaded file in and have a worker look at it. Raises what `add_file` raises."""
    names = uploads.read_names(uploads.upload_folder(token)) or []
    if len(names) != 1:
        raise Invalid("Please send one file of labels at a time.", field="files")
    path = uploads.upload_folder(token) / "0"
    row = add_file(db, project, path, name=names[0], token=token, by=by, options=options)
    _submit(db, project, row, by, step="look")
    return row


def answer(
    db: Session, project: Project, import_id: int, options: Options, *, by: Person
) -> LabelImport:
    """Answer what a file asks, and have it looked at again under these answers. Raises Conflict while a worker
    is at it or when its file is gone.
    """
    row = _lock(db, project, import_id)
    row.options = options.as_json()
    row.found = None
    _submit(db, project, row, by, step="look")
    return row


def ask_to_take(
    db: Session, project: Project, import_id: int, options: Options, *, by: Person
) -> LabelImport:
    """Have a worker store what a file that was looked at says. Raises Conflict where something of it is still to
    be answered, or the criteria were published since.
    """
    row = _lock(db, project, import_id)
    kept = Options.of(row.options)
    if (options.attributes, options.absent) != (kept.attributes, kept.absent):
        raise Conflict(
            "These are other answers than those the file was looked at with.",
            hint="Look at it again under them first.",
        )
    refuse_unready(row, options)
    assert row.found is not None
    if row.found["version_id"] != get_in_force(db, project).version_id:
        raise Conflict(
            "The criteria were published again since this file was looked at.",
            hint="Look at what it would change now, then import it.",
        )
    row.options = options.as_json()
    _submit(db, project, row, by, step="take")
    return row


def _lock(db: Session, project: Project, import_id: int) -> LabelImport:
    row = db.scalar(
        select(LabelImport)
        .where(LabelImport.id == import_id, LabelImport.project_id == project.id)
        .with_for_update()
    )
    if row is None:
        raise NotFound("There is no such import of labels in this project.")
    job = db.get(Job, row.job_id) if row.job_id is not None else None
    if job is not None and job.state in OPEN_STATES:
        raise Conflict(
            "A worker is at this file.", hint="Wait until it is done, or cancel its job."
        )
    if row.token is None or not (uploads.upload_folder(row.token) / "0").exists():
        raise Conflict("The file is not kept any more.", hint="Send it again.")
    return row


def _submit(db: Session, project: Project, row: LabelImport, by: Person, *, step: str) -> None:
    spec = {"label_import_id": row.id, "step": step}
    row.job_id = submit(db, project=project, kind=JOB, spec=spec, by=by).id
    db.flush()


def get_import(db: Session, project: Project, import_id: int) -> ImportRow:
    """An import of this project. Raises NotFound."""
    found = _find(db, project, LabelImport.id == import_id, limit=1)
    if not found:
        raise NotFound("There is no such import of labels in this project.")
    return found[0]


def find_imports(
    db: Session, project: Project, *, before: int | None = None, limit: int = 50
) -> Sequence[ImportRow]:
    """Imports of labels, newest first, a page at a time."""
    return _find(db, project, LabelImport.id < before if before is not None else None, limit=limit)


def _find(db: Session, project: Project, where: object, *, limit: int) -> Sequence[ImportRow]:
    query = (
        select(LabelImport, Job, Person.name)
        .join(Person, Person.id == LabelImport.created_by)
        .outerjoin(Job, Job.id == LabelImport.job_id)
        .where(LabelImport.project_id == project.id)
        .order_by(LabelImport.id.desc())
        .limit(limit)
    )
    if where is not None:
        query = query.where(where)  # type: ignore[arg-type]
    return [ImportRow(row, job, name) for row, job, name in db.execute(query)]


# The work: for the handler of the job, and for the command, which does it where it stands -----------------


def look_at(import_id: int, path: Path | None, *, transaction: Transaction, report: Report) -> Json:
    """Look at a file and keep what was found."""
    # Reading takes as long as the file is large, and must hold no row that others wait for.
    with unit_of_work() as db:
        row = db.get_one(LabelImport, import_id)
        options = Options.of(row.options)
        found = look(
            db,
            db.get_one(Project, row.project_id),
            path or _uploaded(row),
            format_of(row.name),
            by=db.get_one(Person, row.created_by),
            chosen=options.attributes,
            absent=options.absent,
            report=report,
        )
    with transaction() as db:
        db.get_one(LabelImport, import_id).found = found
    return found


def take_from(
    import_id: int,
    path: Path | None,
    *,
    transaction: Transaction,
    report: Report,
    check: Callable[[], None],
) -> Json:
    """Store what a file says, and keep what that did; a file whose import ended before is not kept longer."""
    with transaction() as db:
        row = db.get_one(LabelImport, import_id)
    taken = take(row, path or _uploaded(row), transaction=transaction, report=report, check=check)
    with transaction() as db:
        row = db.get_one(LabelImport, import_id)
        row.taken, row.taken_at = taken, datetime.now(UTC)
    return taken


def import_path(
    project_slug: str,
    path: Path,
    options: Options,
    *,
    by: str,
    dry_run: bool,
    report: Report,
    tell: Callable[[Json], None],
) -> Json:
    """Import a file where it lies, in this process: what `morelli labels import` does. `by` is the e-mail address
    of the member who imports, or empty where the project has one lead.

    `tell` is given what was found, before anything is stored. Returns that, and in `taken` what was stored;
    with `dry_run` nothing is. Raises Conflict where something of the file is still to be answered; then
    nothing is stored either.
    """
    kind = format_of(path.name)
    with unit_of_work() as db:
        project = get_project(db, project_slug)
        person = get_actor(db, project, by)
        project_id, person_id = project.id, person.id
        chosen, absent = options.attributes, options.absent
        found = look(
            db, project, path, kind, by=person, chosen=chosen, absent=absent, report=report
        )
    tell(found)
    if dry_run:
        return found
    with unit_of_work() as db:
        project, person = db.get_one(Project, project_id), db.get_one(Person, person_id)
        row = add_file(db, project, path, name=path.name, token=None, by=person, options=options)
        row.found = found
        refuse_unready(row, options)
        import_id = row.id
    taken = take_from(import_id, path, transaction=unit_of_work, report=report, check=lambda: None)
    return {**found, "import": import_id, "taken": taken}


def _uploaded(row: LabelImport) -> Path:
    path = uploads.upload_folder(row.token) / "0" if row.token else None
    if path is None or not path.exists():
        raise Conflict("The file is not kept any more.", hint="Send it again.")
    return path

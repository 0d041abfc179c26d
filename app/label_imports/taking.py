"""Imports a file of labels that was looked at: a few thousand labels a transaction, each line once in effect."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.importing import record_taken_over, take_over_run
from app.agents.models import AgentRun
from app.database import Json
from app.errors import Conflict
from app.label_imports.files import format_of, read_labels
from app.label_imports.looking import Matched, Report, in_parts
from app.label_imports.models import LabelImport
from app.label_imports.options import Options
from app.labels.access import get_in_force
from app.labels.importing import EFFECTS, Taken, take_in
from app.projects.models import Project

AT_ONCE = 10_000
Transaction: TypeAlias = Callable[[], AbstractContextManager[Session]]


def refuse_unready(row: LabelImport, options: Options) -> None:
    """Raise Conflict where a file was not looked at yet, or something of it has to be answered or mended first."""
    found = row.found
    if found is None:
        raise Conflict("The file has not been looked at yet.", hint="Wait until it is.")
    if number := found["problems"]["number"]:
        raise Conflict(
            f"{number} lines of the file make no sense; nothing of it was imported.",
            hint="Mend them in the file, and send it again.",
        )
    if number := found["unknown_attributes"]["number"]:
        raise Conflict(
            f"{number} of the file's attributes are not known here.",
            field="attributes",
            hint="Say of each which attribute it is, or that its labels are left out.",
        )
    if found["unknown_images"]["number"] and not options.without_unknown_images:
        raise Conflict(
            f"{found['unknown_images']['number']} of the file's images are not in this project.",
            field="without_unknown_images",
            hint="Import the images first, or say that their labels are left out.",
        )


def take(
    row: LabelImport,
    path: Path,
    *,
    transaction: Transaction,
    report: Report,
    check: Callable[[], None],
) -> Json:
    """Store all labels of a file; returns how many, by effect. Safe to run again from the start.

    `check` may raise to stop between two transactions; what was stored then stays, and the same import goes
    on from there. Raises Conflict where the criteria were published since the file was looked at.
    """
    options = Options.of(row.options)
    refuse_unready(row, options)
    assert row.found is not None
    version_id = row.found["version_id"]
    with transaction() as db:
        project, by = db.get_one(Project, row.project_id), db.get_one(Person, row.created_by)
        in_force = get_in_force(db, project)
        matched = Matched(db, project, in_force, by, options.attributes)
        runs = _runs(db, row, version_id)
    counts = dict.fromkeys(EFFECTS, 0)
    read = read_labels(path, format_of(row.name), absent=options.absent)
    for part in in_parts(read, AT_ONCE):
        check()
        with transaction() as db:
            labels = matched.match(db, part, runs)
            done = take_in(
                db,
                project,
                labels,
                version_id=version_id,
                import_id=row.id,
                file_sha256=row.sha256,
                replace=options.contradictions == "replace",
            )
            _record_runs(db, done)
        for effect, number in done.counts.items():
            counts[effect] += number
        report(matched.rows)
    stored: Json = {effect: number for effect, number in counts.items() if effect != "same"}
    return stored | {"runs": sorted(runs.values())}


def _runs(db: Session, row: LabelImport, version_id: int) -> Mapping[str, int]:
    assert row.found is not None
    return {
        each["agent"]: take_over_run(
            db,
            project_id=row.project_id,
            said=each["agent"],
            version_id=version_id,
            import_id=row.id,
            by=row.created_by,
        ).id
        for each in row.found["agents"]
    }


def _record_runs(db: Session, done: Taken) -> None:
    for run_id, proposed in done.by_run.items():
        record_taken_over(db, db.get_one(AgentRun, run_id), proposed)

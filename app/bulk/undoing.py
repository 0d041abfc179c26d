"""Takes a bulk action back in one step, but for what was changed since."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.bulk.models import OF_LABELS, BulkAction
from app.bulk.working import (
    BATCH,
    Report,
    Row,
    Transaction,
    count_outcomes,
    next_rows,
    note,
    now,
    tell_nobody,
)
from app.database import Json
from app.labels.bulk import Bulk, lock_images, undo_decisions, undo_marks
from app.projects.models import Project
from app.queue.assigning import MOST, take_back


def undo(action_id: int, *, transaction: Transaction, report: Report = tell_nobody) -> Json:
    """Set everything back, some images a transaction; returns how many are as they were before, and how many stay as
    somebody changed them since. Safe to run again: it goes on where it stopped.
    """
    done, after = 0, 0
    with transaction() as db:
        total = count_outcomes(db, action_id).get("taken", 0)
    while True:
        with transaction() as db:
            action = db.get_one(BulkAction, action_id)
            size = MOST if action.kind == "assign" else BATCH
            rows = next_rows(db, action_id, after, "taken", limit=size)
            if not rows:
                return _finish(db, action)
            undone = _undo_some(db, action, rows)
            note(db, action_id, undone, "undone")
            note(db, action_id, {row.image_id for row in rows} - undone, "stays")
        after, done = rows[-1].image_id, done + len(rows)
        report(done, total)


def _finish(db: Session, action: BulkAction) -> Json:
    numbers = count_outcomes(db, action.id)
    undone = {"undone": numbers.get("undone", 0), "stays": numbers.get("stays", 0)}
    action.undone, action.undone_at = undone, now(db)
    db.flush()
    return undone


def _undo_some(db: Session, action: BulkAction, rows: Sequence[Row]) -> set[int]:
    project = db.get_one(Project, action.project_id)
    by = db.get_one(Person, action.undone_by)
    if action.kind == "assign":
        return _take_images_back(db, project, action, by)
    held = lock_images(db, project, [row.image_id for row in rows])
    stood = {row.image_id: row.stood for row in rows if row.image_id in held}
    bulk = Bulk(action.id, by)
    if action.kind not in OF_LABELS:
        return undo_marks(db, bulk, stood)
    assert action.node_id is not None
    assert action.polarity is not None
    return undo_decisions(db, bulk, stood, node_id=action.node_id, polarity=action.polarity)


def _take_images_back(db: Session, project: Project, action: BulkAction, by: Person) -> set[int]:
    assert action.assignment_id is not None
    _, freed = take_back(db, project, action.assignment_id, by=by)
    return set(freed)

"""Does what a bulk action was seen to do, on exactly these images and as they were then."""

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.bulk.looking import AFTER
from app.bulk.models import OF_LABELS, BulkAction, BulkImage
from app.bulk.working import (
    BATCH,
    Report,
    Row,
    Transaction,
    count_outcomes,
    next_rows,
    note,
    note_taken,
    now,
    tell_nobody,
)
from app.criteria.reading import current_version
from app.database import Json
from app.errors import Conflict
from app.images.asked import read_asked
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.bulk import Bulk, Stood, decide, lock_images, mark
from app.projects.models import Project
from app.queue.assigning import MOST, give

NAMED = 5
LOOK_AGAIN = "Look again at what it would do now."


def take(action_id: int, *, transaction: Transaction, report: Report = tell_nobody) -> Json:
    """Do it, some images a transaction; returns how many were changed, and passed over as they had changed meanwhile.

    Safe to run again: it goes on where it stopped. Raises Conflict, before anything is done, where an image that it
    concerns is not as it was looked at; and where the criteria were published again since.
    """
    with transaction() as db:
        action = db.get_one(BulkAction, action_id)
        assert action.found is not None
        total = action.found["change"]
        _refuse_changed(db, action)
    done, after = 0, 0
    # Images are given in one transaction: a person gets them as one assignment.
    size = MOST if action.kind == "assign" else BATCH
    while True:
        with transaction() as db:
            action = db.get_one(BulkAction, action_id)
            rows = next_rows(db, action_id, after, None, limit=size)
            if not rows:
                return _finish(db, action)
            passed = _take_some(db, action, rows)
            if passed and total <= size:
                raise _changed(passed)
        after, done = rows[-1].image_id, done + len(rows)
        report(done, total)


def _finish(db: Session, action: BulkAction) -> Json:
    numbers = count_outcomes(db, action.id)
    taken = {"changed": numbers.get("taken", 0), "passed": numbers.get("passed", 0)}
    action.taken, action.taken_at = taken, now(db)
    db.flush()
    return taken


def _take_some(db: Session, action: BulkAction, rows: Sequence[Row]) -> list[int]:
    """Change these images; returns those that are passed over."""
    project = db.get_one(Project, action.project_id)
    seen = {row.image_id: row.revision for row in rows}
    if action.kind == "assign":
        stood = _give(db, project, action, list(seen))
    else:
        held = lock_images(db, project, list(seen))
        refuse_other_version(db, project, action)
        same = [image_id for image_id, revision in held.items() if seen[image_id] == revision]
        stood = _change(db, project, action, same) if same else {}
    note_taken(db, action.id, stood)
    passed = sorted(seen.keys() - stood.keys())
    if passed:
        note(db, action.id, passed, "passed")
    return passed


def _change(db: Session, project: Project, action: BulkAction, image_ids: Sequence[int]) -> Stood:
    bulk = Bulk(action.id, db.get_one(Person, action.created_by))
    if action.kind not in OF_LABELS:
        is_done = action.kind == "done"
        return mark(db, project, bulk, image_ids, done=is_done, version_id=action.version_id)
    assert action.node_id is not None
    assert action.polarity is not None
    assert action.version_id is not None
    return decide(
        db,
        bulk,
        image_ids,
        node_id=action.node_id,
        polarity=action.polarity,
        kind="confirm" if action.kind == "add" else action.kind,
        after=AFTER[action.kind],
        version_id=action.version_id,
    )


def _give(db: Session, project: Project, action: BulkAction, image_ids: Sequence[int]) -> Stood:
    assert action.assignee_id is not None
    asked = read_asked(action.query)
    made, given = give(
        db,
        project,
        image_ids,
        person_id=action.assignee_id,
        show=asked.show,
        words=asked.words,
        by=db.get_one(Person, action.created_by),
    )
    action.assignment_id = made.id if made else None
    return dict.fromkeys(given)


def refuse_other_version(db: Session, project: Project, action: BulkAction) -> None:
    """Raise Conflict where another version of the criteria is in force than at the look."""
    version = current_version(db, project)
    if (version.id if version else None) != action.version_id:
        raise Conflict(
            "The criteria were published again since this was looked at.", hint=LOOK_AGAIN
        )


def _refuse_changed(db: Session, action: BulkAction) -> None:
    """Where nothing is done yet, all of it has to be as it was looked at. Giving images looks at each when it is given."""
    if action.kind == "assign":
        return
    mine = (BulkImage.bulk_action_id == action.id, BulkImage.effect == "change")
    begun = select(BulkImage.image_id).where(*mine, BulkImage.outcome.is_not(None)).limit(1)
    if db.scalar(begun) is not None:
        return
    as_it_was = (Image.label_revision == BulkImage.revision) & in_use()
    changed = (
        select(BulkImage.image_id)
        .join(Image, Image.id == BulkImage.image_id)
        .where(*mine, ~as_it_was)
        .order_by(BulkImage.image_id)
    )
    first = db.scalars(changed.limit(NAMED)).all()
    if first:
        number = db.scalar(select(func.count()).select_from(changed.subquery())) or 0
        raise _changed(first, number)


def _changed(first: Sequence[int], number: int = 0) -> Conflict:
    number = number or len(first)
    named = ", ".join(str(each) for each in first[:NAMED])
    return Conflict(
        f"{number:,} {'image has' if number == 1 else 'images have'} changed since this was looked at"
        f" ({named}{', …' if number > NAMED else ''}); nothing was done.",
        hint=LOOK_AGAIN,
        images=list(first[:NAMED]),
    )

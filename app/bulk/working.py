"""What looking, doing and taking back share: some images at a time, a transaction each."""

import json
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import func, select, text, update
from sqlalchemy.orm import Session

from app.bulk.models import BulkImage
from app.database import Json
from app.labels.bulk import Stood

BATCH = 1_000
"""Images of one transaction."""
Transaction: TypeAlias = Callable[[], AbstractContextManager[Session]]
Report: TypeAlias = Callable[[int, int | None], None]
"""Told how many images are done, of how many; may raise to stop between two transactions."""


def tell_nobody(done: int, total: int | None) -> None:
    """For few images, which are done before anybody could look."""
    del done, total


class Row(NamedTuple):
    """An image that a bulk action changes, with its label revision at the look."""

    image_id: int
    revision: int
    stood: Json | None


def next_rows(
    db: Session, action_id: int, after: int, outcome: str | None, *, limit: int = BATCH
) -> list[Row]:
    """The next images behind `after` that a bulk action changes and that came to `outcome`."""
    is_so = BulkImage.outcome.is_(None) if outcome is None else BulkImage.outcome == outcome
    rows = db.execute(
        select(BulkImage.image_id, BulkImage.revision, BulkImage.stood)
        .where(
            BulkImage.bulk_action_id == action_id,
            BulkImage.effect == "change",
            BulkImage.image_id > after,
            is_so,
        )
        .order_by(BulkImage.image_id)
        .limit(limit)
    )
    return [Row(*each) for each in rows]


def count_outcomes(db: Session, action_id: int) -> dict[str | None, int]:
    """How many of the images that a bulk action changes came to what."""
    rows = db.execute(
        select(BulkImage.outcome, func.count())
        .where(BulkImage.bulk_action_id == action_id, BulkImage.effect == "change")
        .group_by(BulkImage.outcome)
    )
    return dict(rows.all())


# One statement: given row by row, those without a label would each be one of their own.
_NOTE_EFFECTS = text(
    """
    INSERT INTO bulk_image (bulk_action_id, image_id, effect, before, revision, contradictions)
    SELECT :bulk_action_id, e.image_id, e.effect, e.before, e.revision, e.contradictions
    FROM jsonb_to_recordset(CAST(:effects AS jsonb)) AS e(
        image_id bigint, effect text, before text, revision int, contradictions int
    )
    """
)


def note_effects(db: Session, action_id: int, effects: Sequence[dict[str, Any]]) -> None:
    """Note what a bulk action would do to some images: the columns of `BulkImage` that a look fills."""
    db.execute(_NOTE_EFFECTS, {"bulk_action_id": action_id, "effects": json.dumps(effects)})


def note(db: Session, action_id: int, image_ids: Collection[int], outcome: str) -> None:
    """Note what became of some images."""
    those = BulkImage.image_id == func.any(list(image_ids))
    statement = update(BulkImage).where(BulkImage.bulk_action_id == action_id, those)
    db.execute(statement.values(outcome=outcome), execution_options=_APART)


_APART = {"synchronize_session": False}
_NOTE_TAKEN = text(
    """
    UPDATE bulk_image SET outcome = 'taken', stood = t.stood
    FROM jsonb_to_recordset(CAST(:taken AS jsonb)) AS t(image_id bigint, stood jsonb)
    WHERE bulk_image.bulk_action_id = :bulk_action_id AND bulk_image.image_id = t.image_id
    """
)


def note_taken(db: Session, action_id: int, stood: Stood) -> None:
    """Note where it was done, with what stood there before."""
    rows: Sequence[dict[str, Any]] = [
        {"image_id": image_id, "stood": before} for image_id, before in stood.items()
    ]
    db.execute(_NOTE_TAKEN, {"bulk_action_id": action_id, "taken": json.dumps(rows)})


def now(db: Session) -> datetime:
    """The moment by the clock of the database."""
    moment: datetime = db.execute(select(func.clock_timestamp())).scalar_one()
    return moment

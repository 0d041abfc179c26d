"""Keeps one answer of a participant: at once, once, and never over a newer one."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.database import Model


class Overtaken(Exception):
    """Another answer was given since the one that this one is based on; it stands, with its revision."""

    def __init__(self, answer: str, revision: int) -> None:
        super().__init__(answer)
        self.answer = answer
        self.revision = revision


def store_answer(
    db: Session,
    table: type[Model],
    key: Mapping[str, Any],
    answer: str,
    *,
    based_on: int | None,
    **columns: Any,
) -> int:
    """Keep an answer in a room's table under its primary key, and return its revision; a change of mind replaces it.

    The same answer again changes nothing. `based_on` is the revision that was seen (0: none): raises Overtaken
    where a newer answer stands. `columns` are what a first answer says besides.
    """
    inserted = (
        insert(table)
        .values(**key, **columns, answer=answer)
        .on_conflict_do_nothing()
        .returning(table.__table__.c.revision)
    )
    first = db.scalar(inserted)
    if first is not None:
        return int(first)
    standing: Any = db.scalars(
        select(table).filter_by(**key).with_for_update().execution_options(populate_existing=True)
    ).one()
    if standing.answer == answer:
        return int(standing.revision)
    if based_on is not None and based_on != standing.revision:
        raise Overtaken(standing.answer, standing.revision)
    standing.answer, standing.revision = answer, standing.revision + 1
    standing.at = db.scalar(select(func.clock_timestamp()))
    db.flush()
    return int(standing.revision)

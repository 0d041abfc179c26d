"""The images of second readings as rows: those of a project, one that somebody is at, and the next of a queue."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, select, update
from sqlalchemy.orm import Session

from app.images.inclusion import in_use
from app.images.models import Image
from app.projects.models import Project
from app.readings.models import ReadImage, SecondReading


def images_of(project: Project, *conditions: ColumnElement[bool]) -> Select[int]:
    """The ids of the images of all second readings of a project that meet the conditions."""
    return (
        select(ReadImage.id)
        .join(SecondReading, SecondReading.id == ReadImage.reading_id)
        .join(Image, Image.id == ReadImage.image_id)
        .where(SecondReading.project_id == project.id, *conditions, in_use())
    )


def get_row(
    db: Session, project: Project, read_id: int, *conditions: ColumnElement[bool], lock: bool
) -> tuple[ReadImage, Image] | None:
    """An image of a second reading with its place there, where it meets the conditions."""
    statement = images_of(project, *conditions).where(ReadImage.id == read_id)
    rows = statement.with_only_columns(ReadImage, Image)
    if lock:
        rows = rows.with_for_update(of=ReadImage).execution_options(populate_existing=True)
    found = db.execute(rows).one_or_none()
    return (found[0], found[1]) if found else None


def claim_first(db: Session, queues: Iterable[Select[int]], values: dict[str, Any]) -> int | None:
    """The first image of the first queue that holds one, with these values written to it; those that somebody
    else is just claiming are passed over.
    """
    for queue in queues:
        chosen = queue.limit(1).with_for_update(skip_locked=True, of=ReadImage).scalar_subquery()
        found: int | None = db.scalar(
            update(ReadImage).where(ReadImage.id == chosen).values(**values).returning(ReadImage.id)
        )
        if found is not None:
            return found
    return None

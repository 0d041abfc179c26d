"""Which image a person corrects next, so that two people are not handed the same one."""

from datetime import timedelta

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.models import ImageLease
from app.projects.models import Project

LEASE = timedelta(minutes=15)
"""How long an image is kept for who opened it, counted from their last visit."""

_TAKE = text(
    """
    INSERT INTO image_lease (image_id, person_id, until)
    VALUES (:image, :person, clock_timestamp() + :lease)
    ON CONFLICT (image_id) DO UPDATE SET person_id = excluded.person_id, until = excluded.until
    WHERE image_lease.person_id = excluded.person_id OR image_lease.until < clock_timestamp()
    """
)


def is_open() -> ColumnElement[bool]:
    """Images that wait for somebody: in use, and not done or with something new since."""
    return and_(in_use(), or_(Image.done_at.is_(None), Image.came_back_at.is_not(None)))


def take(db: Session, image: Image, person: Person) -> None:
    """Keep an image for a person for a while, unless somebody else has it."""
    db.execute(_TAKE, {"image": image.id, "person": person.id, "lease": LEASE})


def find_next(
    db: Session,
    project: Project,
    after: int,
    *,
    person: Person | None = None,
    within: tuple[ColumnElement[bool], ...] = (),
) -> int | None:
    """The next image that waits, by id, starting over at the first; None when all are done.

    Those that others are at come last. `within` narrows the images to those of a filter.
    """
    own = select(Image.id).where(Image.project_id == project.id, is_open(), Image.id != after)
    own = own.where(*within)
    if person is not None:
        found = _first(db, own.where(~_is_taken(person)), after)
        if found is not None:
            return found
    return _first(db, own, after)


def claim_next(db: Session, project: Project, person: Person) -> int | None:
    """The first image that waits and nobody else is at, now kept for this person."""
    own = select(Image).where(Image.project_id == project.id, is_open())
    free = own.where(~_is_taken(person)).order_by(Image.id).limit(1)
    # Two who ask at once pass over each other's row and get different ones.
    image = db.scalar(free.with_for_update(skip_locked=True, of=Image))
    if image is None:
        image = db.scalar(own.order_by(Image.id).limit(1))
    if image is None:
        return None
    take(db, image, person)
    return image.id


def _is_taken(person: Person) -> ColumnElement[bool]:
    return (
        select(ImageLease.id)
        .where(
            ImageLease.image_id == Image.id,
            ImageLease.person_id != person.id,
            ImageLease.until > func.clock_timestamp(),
        )
        .exists()
    )


def _first(db: Session, waiting: Select[int], after: int) -> int | None:
    following = db.scalar(waiting.where(Image.id > after).order_by(Image.id).limit(1))
    if following is not None:
        return following
    return db.scalar(waiting.where(Image.id < after).order_by(Image.id).limit(1))

"""Which image a person corrects next. No two people are handed the same one: a lease in the database says who
is at an image, and it is taken in the moment in which the image is found.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeAlias

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Row,
    Select,
    bindparam,
    func,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.accounts.models import Person
from app.images.finding import filtered, has_unsure
from app.images.inclusion import is_there
from app.images.models import Image
from app.images.narrowing import EVERYTHING, Narrowing, prepare
from app.images.walking import Walk
from app.labels.models import Label, LabelEvent
from app.projects.models import Project
from app.queue.models import Assignment, ImageLease, QueueOrder, WaitingImage

LEASE = timedelta(minutes=15)
"""How long an image is kept for who opened it, counted from the last sign of them."""
# Somebody else may take the very image that was found; then the next one is looked for.
ATTEMPTS = 50
MOST_COUNTED = 1_000

Order: TypeAlias = tuple[InstrumentedAttribute[Any], ...]

ORDERS: dict[str, Order] = {
    "id": (WaitingImage.image_id,),
    "random": (WaitingImage.chance, WaitingImage.image_id),
    "least_certain": (WaitingImage.sureness, WaitingImage.image_id),
    "contradictory": (WaitingImage.harmony, WaitingImage.image_id),
    "agent_wrong": (WaitingImage.trust, WaitingImage.image_id),
}

_TAKE = text(
    """
    INSERT INTO image_lease AS l (image_id, person_id, until)
    SELECT image, :person, clock_timestamp() + :lease
    FROM unnest(CAST(:images AS bigint[])) AS image ORDER BY image
    ON CONFLICT (image_id) DO UPDATE SET person_id = excluded.person_id, until = excluded.until
    WHERE l.person_id = excluded.person_id OR l.until < clock_timestamp()
    RETURNING image_id
    """
)


def take(db: Session, image_ids: Sequence[int], person: Person) -> set[int]:
    """Keep images for a person for a while, but those that somebody else is at; returns which."""
    values = {"images": list(image_ids), "person": person.id, "lease": LEASE}
    return set(db.scalars(_TAKE, values))


def find_own_images(db: Session, project: Project, image_ids: Sequence[int]) -> list[int]:
    """Those of these ids that are images of the project, in use or set aside."""
    return list(
        db.scalars(
            select(Image.id).where(
                Image.project_id == project.id, Image.id.in_(image_ids), is_there()
            )
        )
    )


def who_is_at(db: Session, image_id: int, person: Person) -> str | None:
    """The name of somebody else who is at an image."""
    return db.scalar(
        select(Person.name)
        .join(ImageLease, ImageLease.person_id == Person.id)
        .where(ImageLease.image_id == image_id, _is_of_another(person))
    )


def _standing() -> Select[Any]:
    """All that a claim has to know beforehand, in one row: the project's order, whether images were given
    to the person, and where the image stands that they come from.
    """
    project: BindParameter[int] = bindparam("project_id")
    person: BindParameter[int] = bindparam("person_id")
    strategy = select(QueueOrder.strategy).where(QueueOrder.project_id == project)
    given = select(Assignment.id).where(
        Assignment.person_id == person,
        Assignment.project_id == project,
        Assignment.taken_back_at.is_(None),
    )
    columns = {
        each.key: each for each in (*_BY_PLACE, *(one for of in ORDERS.values() for one in of))
    }
    return (
        select(
            strategy.scalar_subquery().label("strategy"),
            given.exists().label("is_given"),
            *columns.values(),
        )
        .select_from(Project)
        .outerjoin(WaitingImage, WaitingImage.image_id == bindparam("after"))
        .where(Project.id == project)
    )


_BY_PLACE: Order = (WaitingImage.assignment_id, WaitingImage.place)
_STANDING = _standing()


def claim_next(db: Session, project: Project, person: Person, *, after: int = 0) -> int | None:
    """The next image that waits and nobody else is at, now kept for this person; None where there is none.

    Those that were given to the person come first, in the order in which they were given, then those that
    were given to nobody, in the order of the project's queue; each from behind `after`, and starting over.
    """
    standing = db.execute(
        _STANDING, {"project_id": project.id, "person_id": person.id, "after": after}
    ).one()
    order = ORDERS[standing.strategy or "id"]
    queues = []
    if standing.is_given:
        queues += _behind(_next_assigned(project, person), _BY_PLACE, standing, after)
    free = _waiting(project).where(WaitingImage.assignment_id.is_(None)).order_by(*order)
    for waiting in (*queues, *_behind(free, order, standing, after)):
        found = _claim(db, waiting.where(WaitingImage.image_id != after), person)
        if found is not None:
            return found
    return None


def claim_next_within(
    db: Session,
    project: Project,
    person: Person,
    *,
    show: str,
    words: str,
    narrowing: Narrowing = EVERYTHING,
    after: int = 0,
) -> int | None:
    """The same within a filter of the wall, by id; within that of unsure labels what others were unsure of."""
    if narrowing and show != "unsure":
        return _claim_narrowed(db, project, person, show, words, narrowing, after)
    if show == "unsure":
        queue = select(Image.id).where(*filtered(project, "all", words))
        queue = queue.where(_unsure_of_others(project, person))
        by_id: ColumnElement[int] = Image.__table__.c.id
    else:
        own = select(Assignment.id).where(Assignment.person_id == person.id)
        queue = (
            _waiting(project)
            .join(Image, Image.id == WaitingImage.image_id)
            .where(
                *filtered(project, show, words),
                or_(WaitingImage.assignment_id.is_(None), WaitingImage.assignment_id.in_(own)),
            )
        )
        by_id = WaitingImage.__table__.c.image_id
    queue = queue.order_by(by_id)
    for waiting in (queue.where(by_id > after), queue.where(by_id < after)):
        found = _claim(db, waiting, person, locks=show != "unsure")
        if found is not None:
            return found
    return None


def _claim_narrowed(
    db: Session,
    project: Project,
    person: Person,
    show: str,
    words: str,
    narrowing: Narrowing,
    after: int,
) -> int | None:
    own = select(Assignment.id).where(Assignment.person_id == person.id)
    waits = select(WaitingImage.image_id).where(
        WaitingImage.image_id == Image.id,
        or_(WaitingImage.assignment_id.is_(None), WaitingImage.assignment_id.in_(own)),
    )
    conditions = [*filtered(project, show, words, is_common=True), waits.exists()]
    walk = Walk(db, project, prepare(db, project, narrowing), conditions)
    for start in (after, None):
        # More than one: others may be at the first ones.
        ids = walk.find(Image.id, start, ATTEMPTS)
        queue = _waiting(project).where(
            WaitingImage.image_id.in_(ids), WaitingImage.image_id != after
        )
        found = _claim(db, queue.order_by(WaitingImage.image_id), person)
        if found is not None:
            return found
    return None


def count_waiting(db: Session, project: Project, person: Person) -> tuple[int, int]:
    """How many images wait that were given to this person, and how many that were given to nobody; each up
    to one more than `MOST_COUNTED`.
    """
    own = _next_assigned(project, person).order_by(None)
    free = _waiting(project).where(WaitingImage.assignment_id.is_(None))
    counts = (
        select(func.count()).select_from(each.limit(MOST_COUNTED + 1).subquery()).scalar_subquery()
        for each in (own, free)
    )
    assigned, others = db.execute(select(*counts)).one()
    return assigned, others


def _waiting(project: Project) -> Select[int]:
    return select(WaitingImage.image_id).where(WaitingImage.project_id == project.id)


def _next_assigned(project: Project, person: Person) -> Select[int]:
    own = select(Assignment.id).where(
        Assignment.person_id == person.id,
        Assignment.project_id == project.id,
        Assignment.taken_back_at.is_(None),
    )
    return (
        select(WaitingImage.image_id)
        .where(WaitingImage.assignment_id.in_(own))
        .order_by(WaitingImage.assignment_id, WaitingImage.place)
    )


def _behind(
    waiting: Select[int], order: Order, standing: Row[Any], after: int
) -> list[Select[int]]:
    """The part of a queue behind an image, and the whole; the whole alone where the image is not in it."""
    at = tuple(getattr(standing, column.key) for column in order)
    # By id one knows what is behind it, also once it is done.
    if at[0] is None and len(order) == 1 and after:
        at = (after,)
    if at[0] is None:
        return [waiting]
    return [waiting.where(tuple_(*order) > at), waiting]


def _claim(db: Session, waiting: Select[int], person: Person, *, locks: bool = True) -> int | None:
    column = waiting.selected_columns[0]
    taken = select(ImageLease.id).where(ImageLease.image_id == column, _is_of_another(person))
    first = waiting.where(~taken.exists()).limit(1)
    if locks:
        # Two who ask at once pass over each other's row; where they do not, the lease decides.
        first = first.with_for_update(skip_locked=True, of=WaitingImage)
    for _ in range(ATTEMPTS):
        found = db.scalar(first)
        if found is None or take(db, [found], person):
            return found
    return None


def _is_of_another(person: Person) -> ColumnElement[bool]:
    return (ImageLease.person_id != person.id) & (ImageLease.until > func.clock_timestamp())


def _unsure_of_others(project: Project, person: Person) -> ColumnElement[bool]:
    """Images where somebody is unsure of a label of which this person has not been so themselves."""
    own = select(LabelEvent.id).where(
        LabelEvent.image_id == Label.image_id,
        LabelEvent.node_id == Label.node_id,
        LabelEvent.polarity == Label.polarity,
        LabelEvent.person_id == person.id,
        LabelEvent.after == "unsure",
    )
    return has_unsure(project, ~own.exists())

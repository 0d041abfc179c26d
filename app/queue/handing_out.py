"""Which image a person corrects next. No two people are handed the same one: a lease in the database says who
is at an image, and it is taken in the moment in which the image is found.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any, TypeAlias

from sqlalchemy import (
    BigInteger,
    BindParameter,
    ColumnElement,
    Interval,
    Row,
    ScalarSelect,
    Select,
    bindparam,
    false,
    func,
    or_,
    select,
    text,
    tuple_,
)
from sqlalchemy.dialects.postgresql import insert
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
        .where(ImageLease.image_id == image_id, _is_of_another(person.id))
    )


# Every labelling page claims and counts, so that what it asks is put together once, with these in it.
_PROJECT: BindParameter[int] = bindparam("project_id")
_PERSON: BindParameter[int] = bindparam("person_id")
_GIVEN = select(Assignment.id).where(
    Assignment.person_id == _PERSON,
    Assignment.project_id == _PROJECT,
    Assignment.taken_back_at.is_(None),
)


def _standing() -> Select[Any]:
    """All that a claim has to know beforehand, in one row: the project's order, whether images were given
    to the person, and where the image stands that they come from.
    """
    strategy = select(QueueOrder.strategy).where(QueueOrder.project_id == _PROJECT)
    columns = {
        each.key: each for each in (*_BY_PLACE, *(one for of in ORDERS.values() for one in of))
    }
    return (
        select(
            strategy.scalar_subquery().label("strategy"),
            _GIVEN.exists().label("is_given"),
            *columns.values(),
        )
        .select_from(Project)
        .outerjoin(WaitingImage, WaitingImage.image_id == bindparam("after"))
        .where(Project.id == _PROJECT)
    )


_BY_PLACE: Order = (WaitingImage.assignment_id, WaitingImage.place)
_GIVEN_FIRST = "given"
QUEUES: Mapping[str, Order] = {**ORDERS, _GIVEN_FIRST: _BY_PLACE}
_STANDING = _standing()


def claim_next(db: Session, project: Project, person: Person, *, after: int = 0) -> int | None:
    """The next image that waits and nobody else is at, now kept for this person; None where there is none.

    Those that were given to the person come first, in the order in which they were given, then those that
    were given to nobody, in the order of the project's queue; each from behind `after`, and starting over.
    """
    return _next(db, project, person, after, opens=False)[1]


def open_image(
    db: Session, project: Project, person: Person, image_id: int
) -> tuple[bool, int | None]:
    """Keep an image for this person who opens it, and the next one behind it (`claim_next`): whether nobody else
    is at the first, and which the next is. One statement does both, as each labelling page asks for them.
    """
    return _next(db, project, person, image_id, opens=True)


def _next(
    db: Session, project: Project, person: Person, after: int, *, opens: bool
) -> tuple[bool, int | None]:
    standing = db.execute(
        _STANDING, {"project_id": project.id, "person_id": person.id, "after": after}
    ).one()
    values = {"project_id": project.id, "person_id": person.id, "after": after}
    given = [_GIVEN_FIRST] if standing.is_given else []
    is_free, found = False, None
    for queue in (*given, standing.strategy or "id"):
        at = _place(QUEUES[queue], standing, after)
        if at:
            is_free, found = _claim(db, _next_behind(queue, opens=opens), values | at)
        if found is None:
            is_free, found = _claim(db, _next_of(queue, opens=opens), values)
        if found is not None:
            break
    return is_free, found


def _place(order: Order, standing: Row[Any], after: int) -> dict[str, Any]:
    """Where an image stands in a queue, as `_next_behind` takes it; nothing where it is not in it."""
    at = [getattr(standing, column.key) for column in order]
    # By id one knows what is behind it, also once it is done.
    if at[0] is None and len(order) == 1 and after:
        at = [after]
    names = [f"at_{column.key}" for column in order]
    return {} if at[0] is None else dict(zip(names, at, strict=True))


def _in_order(queue: str) -> Select[int]:
    """What waits in a queue but the image that one comes from."""
    waits = select(WaitingImage.image_id).where(WaitingImage.image_id != bindparam("after"))
    if queue == _GIVEN_FIRST:
        waits = waits.where(WaitingImage.assignment_id.in_(_GIVEN))
    else:
        is_free = WaitingImage.assignment_id.is_(None)
        waits = waits.where(WaitingImage.project_id == _PROJECT, is_free)
    return waits.order_by(*QUEUES[queue])


@cache
def _next_of(queue: str, *, opens: bool) -> Select[Any]:
    return _claiming(_in_order(queue), opens=opens)


@cache
def _next_behind(queue: str, *, opens: bool) -> Select[Any]:
    order = QUEUES[queue]
    at = tuple_(*(bindparam(f"at_{column.key}", type_=column.type) for column in order))
    return _claiming(_in_order(queue).where(tuple_(*order) > at), opens=opens)


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
        found = _claim_of(db, waiting, person, locks=show != "unsure")
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
        found = _claim_of(db, queue.order_by(WaitingImage.image_id), person)
        if found is not None:
            return found
    return None


def num_waiting() -> tuple[ScalarSelect[int], ScalarSelect[int]]:
    """For a statement of a `project_id` and a `person_id`: how many images wait that were given to this person,
    and how many that were given to nobody; each up to one more than `MOST_COUNTED`.
    """
    own = select(WaitingImage.image_id).where(WaitingImage.assignment_id.in_(_GIVEN))
    free = select(WaitingImage.image_id).where(
        WaitingImage.project_id == _PROJECT, WaitingImage.assignment_id.is_(None)
    )
    given, others = (
        select(func.count()).select_from(each.limit(MOST_COUNTED + 1).subquery()).scalar_subquery()
        for each in (own, free)
    )
    return given, others


def _waiting(project: Project) -> Select[int]:
    return select(WaitingImage.image_id).where(WaitingImage.project_id == project.id)


def _claiming(waiting: Select[int], *, locks: bool = True, opens: bool = False) -> Select[Any]:
    """Find the first of what waits that nobody else is at, and keep it, all in one statement: which image was
    found, whether it is kept now, and, where one `opens` the image that one looks behind, whether that is. Somebody
    else may take an image between the two.
    """
    column = waiting.selected_columns[0]
    taken = select(ImageLease.id).where(ImageLease.image_id == column, _is_of_another(_PERSON))
    first = waiting.where(~taken.exists()).limit(1)
    if locks:
        # Two who ask at once pass over each other's row; where they do not, the lease decides.
        first = first.with_for_update(skip_locked=True, of=WaitingImage)
    found = first.cte("found")
    until = func.clock_timestamp() + bindparam("lease", type_=Interval)
    here: BindParameter[int] = bindparam("after", type_=BigInteger)
    ids = select(found.c[0].label("id"))
    # In the order of their ids, as all who keep several do.
    kept_ids = (ids.union_all(select(here)) if opens else ids).subquery("kept_ids")
    rows = select(kept_ids.c.id, _PERSON, until).order_by(kept_ids.c.id)
    lease = insert(ImageLease).from_select(["image_id", "person_id", "until"], rows)
    new = lease.excluded
    kept = lease.on_conflict_do_update(
        index_elements=["image_id"],
        set_={"person_id": new.person_id, "until": new.until},
        where=(ImageLease.person_id == new.person_id) | (ImageLease.until < func.clock_timestamp()),
    ).returning(ImageLease.image_id)
    taken_now = kept.cte("kept")
    first_found = select(*found.c).scalar_subquery()
    is_kept = select(taken_now.c.image_id).where(taken_now.c.image_id == first_found).exists()
    is_here = select(taken_now.c.image_id).where(taken_now.c.image_id == here).exists()
    return select(first_found, is_kept, is_here if opens else false())


def _claim(
    db: Session, claiming: Select[Any], values: Mapping[str, Any]
) -> tuple[bool, int | None]:
    """Whether the image that one looks behind is kept, where that was asked for; and the one that was found."""
    is_here = False
    for _ in range(ATTEMPTS):
        found, is_kept, is_here = db.execute(claiming, {**values, "lease": LEASE}).one()
        if found is None or is_kept:
            return is_here, found
    return is_here, None


def _claim_of(
    db: Session, waiting: Select[int], person: Person, *, locks: bool = True
) -> int | None:
    return _claim(db, _claiming(waiting, locks=locks), {"person_id": person.id})[1]


def _is_of_another(person_id: int | BindParameter[int]) -> ColumnElement[bool]:
    return (ImageLease.person_id != person_id) & (ImageLease.until > func.clock_timestamp())


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

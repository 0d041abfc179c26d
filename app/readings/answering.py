"""Reading an image a second time: who reads which, each answer, and what it takes to be done.

Whoever reads has not finished the image, decided nothing on it and was never shown what is suggested for it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import ColumnElement, Select, exists, func, or_, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.errors import Conflict, Invalid, NotFound
from app.images.models import Image
from app.labels.access import get_attribute, get_in_force
from app.labels.models import LabelEvent, SuggestionShown
from app.labels.showing import was_shown
from app.projects.models import Project
from app.readings.models import (
    ANSWERS,
    ReadAnswer,
    ReadImage,
    SecondReading,
    Settlement,
)
from app.readings.rows import claim_first, get_row, images_of

LEASE = timedelta(minutes=15)
Wanted = Literal["confirmed", "rejected", "unsure", "withdrawn"]


@dataclass(frozen=True)
class Said:
    """What was answered about an attribute, and what stood before; None where nothing did."""

    key: str
    polarity: str
    before: str | None
    answer: str | None


# Whose turn it is ----------------------------------------------------------------------------


def claim_next(db: Session, project: Project, person: Person, *, besides: int = 0) -> int | None:
    """The next image that this person is to read, now theirs for a while: behind `besides` first what they have
    begun, then what nobody is at.
    """
    now = func.clock_timestamp()
    answered = exists().where(ReadAnswer.read_image_id == ReadImage.id)
    is_free = or_(ReadImage.reader_id.is_(None), (ReadImage.held_until < now) & ~answered)
    unread = _unread(project).where(ReadImage.id != besides)
    own = unread.where(ReadImage.reader_id == person.id)
    free = unread.where(is_free, ReadImage.first_by != person.id, *_is_blind(person))
    queues = (own.where(ReadImage.id > besides), free, own)
    return claim_first(db, queues, {"reader_id": person.id, "held_until": now + LEASE})


def count_waiting(db: Session, project: Project, person: Person, *, most: int = 1_000) -> int:
    """How many images this person could read, up to one more than `most`."""
    unread = _unread(project).where(
        or_(ReadImage.reader_id.is_(None), ReadImage.reader_id == person.id),
        ReadImage.first_by != person.id,
        *_is_blind(person),
    )
    counted = unread.order_by(None).limit(most + 1).subquery()
    return db.scalar(select(func.count()).select_from(counted)) or 0


def _unread(project: Project) -> Select[int]:
    unread = images_of(project, SecondReading.ended_at.is_(None), ReadImage.read_at.is_(None))
    return unread.order_by(ReadImage.reading_id, ReadImage.place)


def _is_blind(person: Person) -> list[ColumnElement[bool]]:
    shown = exists().where(
        SuggestionShown.image_id == ReadImage.image_id, SuggestionShown.person_id == person.id
    )
    decided = exists().where(
        LabelEvent.image_id == ReadImage.image_id, LabelEvent.person_id == person.id
    )
    return [~shown, ~decided]


def get_own(
    db: Session, project: Project, person: Person, read_id: int, *, lock: bool = False
) -> tuple[ReadImage, Image]:
    """An image that this person reads, with its place in the reading. Raises NotFound for one that is not
    theirs to read.
    """
    found = get_row(db, project, read_id, ReadImage.reader_id == person.id, lock=lock)
    if found is None:
        raise NotFound(
            "This image is not yours to read.", hint="Begin from the page of second readings."
        )
    return found


# Answering -----------------------------------------------------------------------------------


def answer(
    db: Session,
    project: Project,
    read_id: int,
    *,
    key: str,
    polarity: str,
    state: Wanted,
    operation_id: UUID,
    by: Person,
) -> Said:
    """Answer one attribute of an image: of those asked for, or one that the reader misses; `withdrawn` takes
    the answer back. The same `operation_id` again changes nothing.

    Raises NotFound for an image that is not this person's to read, Conflict for one that is read or an
    operation id that stands for another answer, Invalid for an unknown attribute.
    """
    read, image = get_own(db, project, by, read_id, lock=True)
    node, _ = get_attribute(db, project, get_in_force(db, project), key, polarity)
    return _record(db, read, image, node, polarity, _value(state), operation_id, by)


def take_back(
    db: Session, project: Project, read_id: int, *, undoes: UUID, operation_id: UUID, by: Person
) -> Said | None:
    """Take back an answer, the one that was sent with the operation id `undoes`; an id that stands for no answer
    is that of the mark that the image is read, and None says so.
    """
    read, image = get_own(db, project, by, read_id, lock=True)
    row = db.scalar(
        select(ReadAnswer).where(
            ReadAnswer.read_image_id == read.id, ReadAnswer.operation_id == undoes
        )
    )
    if row is None:
        finish(db, project, read_id, done=False, by=by)
        return None
    before = _last(db, read, row.node_id, row.polarity, before=row.id)
    node = db.get_one(Node, row.node_id)
    return _record(db, read, image, node, row.polarity, before, operation_id, by)


def finish(db: Session, project: Project, read_id: int, *, done: bool, by: Person) -> ReadImage:
    """Mark an image as read, or not. Where both readings agree it is settled with that. Raises Conflict for
    taking the mark away where somebody has begun to settle.
    """
    read, _ = get_own(db, project, by, read_id, lock=True)
    if done == (read.read_at is not None):
        return read
    now = db.scalar(select(func.clock_timestamp()))
    if not done:
        _refuse_settled(db, read)
        read.read_at = read.settled_at = None
    else:
        read.read_at = now
        if not find_differences(db, [read.id]):
            read.settled_at = now
    db.flush()
    return read


def _value(state: Wanted) -> str | None:
    if state == "withdrawn":
        return None
    if state not in ANSWERS:
        raise Invalid(f"An answer is {', '.join(ANSWERS)} or withdrawn.", field="state")
    return state


def _record(
    db: Session,
    read: ReadImage,
    image: Image,
    node: Node,
    polarity: str,
    value: str | None,
    operation_id: UUID,
    by: Person,
) -> Said:
    earlier = db.scalar(select(ReadAnswer).where(ReadAnswer.operation_id == operation_id))
    if earlier is not None:
        was = (earlier.read_image_id, earlier.node_id, earlier.polarity, earlier.answer)
        if was != (read.id, node.id, polarity, value):
            raise Conflict(
                "This operation id already stands for another answer.", field="operation_id"
            )
        return Said(
            node.key, polarity, _last(db, read, node.id, polarity, before=earlier.id), value
        )
    if read.read_at is not None:
        raise Conflict(
            "This image is read already.", hint="Take the mark back first, to change an answer."
        )
    before = _last(db, read, node.id, polarity)
    row = {"node_id": node.id, "polarity": polarity, "answer": value, "operation_id": operation_id}
    row |= {"read_image_id": read.id, "is_blind": not was_shown(db, image, by)}
    made = db.scalar(
        insert(ReadAnswer).values(row).on_conflict_do_nothing().returning(ReadAnswer.id)
    )
    if made is None:
        raise Conflict("This operation id already stands for another answer.", field="operation_id")
    return Said(node.key, polarity, before, value)


def _last(
    db: Session, read: ReadImage, node_id: int, polarity: str, *, before: int | None = None
) -> str | None:
    statement = select(ReadAnswer.answer).where(
        ReadAnswer.read_image_id == read.id,
        ReadAnswer.node_id == node_id,
        ReadAnswer.polarity == polarity,
    )
    if before is not None:
        statement = statement.where(ReadAnswer.id < before)
    return db.scalar(statement.order_by(ReadAnswer.id.desc()).limit(1))


def _refuse_settled(db: Session, read: ReadImage) -> None:
    begun = db.scalar(
        select(Settlement.node_id).where(Settlement.read_image_id == read.id).limit(1)
    )
    if begun is not None:
        raise Conflict("Somebody has begun to settle where the readings differ.")


# Where both differ ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compared:
    """What both readings say of one attribute of an image. `first` is None where the first reading did not set
    it, `second` where the second reader gave no answer. `is_asked`: it was asked for, not added by the reader.
    """

    read_image_id: int
    node_id: int
    polarity: str
    first: str | None
    second: str | None
    is_asked: bool
    is_agents: bool
    is_blind: bool

    @property
    def differs(self) -> bool:
        """Whether somebody has to decide: both said something, and not the same. What the first reading did
        not set, it is taken to have rejected.
        """
        return self.second is not None and self.second != (self.first or "rejected")


_COMPARED = text(
    """
    SELECT coalesce(q.read_image_id, a.read_image_id), coalesce(q.node_id, a.node_id),
           coalesce(q.polarity, a.polarity), q.first, a.answer, q.read_image_id IS NOT NULL,
           coalesce(q.is_agents, false), coalesce(a.is_blind, true)
    FROM (SELECT * FROM read_question WHERE read_image_id = ANY(:ids)) AS q
    FULL JOIN (
        SELECT DISTINCT ON (read_image_id, node_id, polarity) *
        FROM read_answer WHERE read_image_id = ANY(:ids)
        ORDER BY read_image_id, node_id, polarity, id DESC
    ) AS a USING (read_image_id, node_id, polarity)
    WHERE q.read_image_id IS NOT NULL OR a.answer IS NOT NULL
    ORDER BY 1, 2, 3
    """
)


def compare(db: Session, read_ids: Sequence[int]) -> list[Compared]:
    """What both readings say of each attribute that was asked for or added, image by image."""
    return [Compared(*row) for row in db.execute(_COMPARED, {"ids": list(read_ids)})]


def find_differences(db: Session, read_ids: Sequence[int]) -> list[Compared]:
    """Where both readings differ."""
    return [each for each in compare(db, read_ids) if each.differs]

"""Deciding where two readings differ, blind to who said what, by somebody who gave neither."""

from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.errors import Conflict, Invalid, NotFound
from app.images.models import Image
from app.labels.access import get_attribute, get_in_force
from app.labels.models import Label
from app.labels.saving import Wanted as LabelWanted
from app.labels.saving import save, undo
from app.projects.models import Project
from app.readings.answering import LEASE, Compared, Said, find_differences
from app.readings.models import ANSWERS, ReadImage, Settlement
from app.readings.rows import claim_first, get_row, images_of


def claim_next(db: Session, project: Project, person: Person, *, besides: int = 0) -> int | None:
    """The next image with differences that this person may settle, now theirs for a while; those behind
    `besides` first.
    """
    now = func.clock_timestamp()
    is_free = or_(
        ReadImage.settler_id.is_(None),
        ReadImage.settler_id == person.id,
        ReadImage.settler_until < now,
    )
    waiting = _waiting(project, person).where(is_free, ReadImage.id != besides)
    waiting = waiting.order_by(ReadImage.reading_id, ReadImage.place)
    queues = (waiting.where(ReadImage.id > besides), waiting)
    return claim_first(db, queues, {"settler_id": person.id, "settler_until": now + LEASE})


def count_waiting(db: Session, project: Project, person: Person, *, most: int = 1_000) -> int:
    """On how many images this person could settle differences, up to one more than `most`."""
    counted = _waiting(project, person).limit(most + 1).subquery()
    return db.scalar(select(func.count()).select_from(counted)) or 0


def _waiting(project: Project, person: Person) -> Select[int]:
    return images_of(project, ReadImage.settled_at.is_(None), *_may_settle(person))


def _may_settle(person: Person) -> list[ColumnElement[bool]]:
    """Images that were read twice, neither time by this person."""
    gave_neither = (ReadImage.first_by != person.id, ReadImage.reader_id != person.id)
    return [ReadImage.read_at.is_not(None), *gave_neither]


def get_to_settle(
    db: Session, project: Project, person: Person, read_id: int, *, lock: bool = False
) -> tuple[ReadImage, Image]:
    """An image that was read twice and that this person may settle. Raises NotFound for others."""
    found = get_row(db, project, read_id, *_may_settle(person), lock=lock)
    if found is None:
        raise NotFound(
            "There is nothing for you to settle here.",
            hint="Who gave one of the two readings of an image does not settle it.",
        )
    return found


def settle(
    db: Session,
    project: Project,
    read_id: int,
    *,
    key: str,
    polarity: str,
    state: str,
    operation_id: UUID,
    by: Person,
) -> Said:
    """Decide about one attribute where both readings differ; the decision becomes an event of the label, where
    there is one or it is to be added. The same `operation_id` again changes nothing.

    Raises Invalid for an attribute about which both agree, Conflict for an image that is settled.
    """
    read, image = get_to_settle(db, project, by, read_id, lock=True)
    if state not in ANSWERS:
        raise Invalid(f"A difference is settled as {', '.join(ANSWERS)}.", field="state")
    node, _ = get_attribute(db, project, get_in_force(db, project), key, polarity)
    earlier = db.get(Settlement, (read.id, node.id, polarity), populate_existing=True)
    before = earlier.decision if earlier else None
    if earlier is not None and earlier.operation_id == operation_id:
        return Said(key, polarity, None, earlier.decision)
    if read.settled_at is not None:
        raise Conflict("This image is settled already.")
    if (node.id, polarity) not in {(each.node_id, each.polarity) for each in _open(db, read)}:
        raise Invalid("Both readings agree about this attribute.", field="key")
    row = {
        "decision": state,
        "person_id": by.id,
        "operation_id": operation_id,
        "event_id": _put_label(db, project, image, node, polarity, state, operation_id, by),
    }
    about = {"read_image_id": read.id, "node_id": node.id, "polarity": polarity}
    db.execute(
        insert(Settlement)
        .values(about | row)
        .on_conflict_do_update(index_elements=list(about), set_=row)
    )
    return Said(key, polarity, before, state)


def _put_label(
    db: Session,
    project: Project,
    image: Image,
    node: Node,
    polarity: str,
    state: str,
    operation_id: UUID,
    by: Person,
) -> int | None:
    is_there = db.scalar(
        select(Label.id).where(
            Label.image_id == image.id, Label.node_id == node.id, Label.polarity == polarity
        )
    )
    if is_there is None and state == "rejected":
        return None
    wanted: LabelWanted = "confirmed" if state == "confirmed" else "rejected"
    db.refresh(image, with_for_update={"key_share": True})
    saved = save(
        db,
        project,
        image.id,
        key=node.key,
        polarity=polarity,
        state="unsure" if state == "unsure" else wanted,
        based_on=image.label_revision,
        operation_id=operation_id,
        by=by,
        suggestion_visible=False,
    )
    return saved.event_id


def take_back(
    db: Session, project: Project, read_id: int, *, undoes: UUID, operation_id: UUID, by: Person
) -> Said | None:
    """Take back what one decided about an attribute, named by its operation id; an id that stands for no decision
    is that of the mark that the image is settled, and None says so.
    """
    read, image = get_to_settle(db, project, by, read_id, lock=True)
    row = db.execute(
        select(Settlement, Node.key)
        .join(Node, Node.id == Settlement.node_id)
        .where(
            Settlement.read_image_id == read.id,
            Settlement.operation_id == undoes,
            Settlement.person_id == by.id,
        )
    ).one_or_none()
    if row is None:
        read.settled_at = None
        db.flush()
        return None
    settlement, key = row
    if read.settled_at is not None:
        raise Conflict("This image is settled already.", hint="Take the mark back first.")
    if settlement.event_id is not None:
        undo(db, project, image.id, by=by, event_id=settlement.event_id, operation_id=operation_id)
    said = Said(key, settlement.polarity, settlement.decision, None)
    db.delete(settlement)
    db.flush()
    return said


def finish(db: Session, project: Project, read_id: int, *, done: bool, by: Person) -> ReadImage:
    """Mark an image as settled, or not. Raises Conflict while differences are undecided."""
    read, _ = get_to_settle(db, project, by, read_id, lock=True)
    if not done:
        read.settled_at = None
    elif read.settled_at is None:
        if left := len(_open(db, read)) - len(find_settlements(db, read)):
            raise Conflict(
                f"{left} {'difference is' if left == 1 else 'differences are'} undecided.",
                hint="Decide them first; “unsure” is a decision, too.",
            )
        read.settled_at = db.scalar(select(func.clock_timestamp()))
    db.flush()
    return read


def find_settlements(db: Session, read: ReadImage) -> dict[tuple[int, str], Settlement]:
    """What was decided on an image, by node id and polarity."""
    found = db.scalars(select(Settlement).where(Settlement.read_image_id == read.id))
    return {(each.node_id, each.polarity): each for each in found}


def _open(db: Session, read: ReadImage) -> list[Compared]:
    return find_differences(db, [read.id])

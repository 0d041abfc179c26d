"""What a participant sees and answers. Blind: nothing here reads another participant's answers, the
agent's measures or confidence, or what people decided about a label.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    delete,
    func,
    literal,
    select,
    true,
    tuple_,
    union,
)
from sqlalchemy.orm import Session

from app.audits.access import as_polarity, get_audit_criteria, hold, instrument
from app.audits.models import (
    Audit,
    AuditItem,
    AuditProbe,
    AuditShare,
    Judgement,
    PracticeItem,
)
from app.audits.ordering import image_order, place_in
from app.audits.sharing import give_share, images_for, is_asked
from app.criteria.models import Node
from app.errors import Invalid, NotFound, Stale
from app.images.inclusion import erased, is_there
from app.images.models import Image
from app.participants import access, taking_part
from app.participants.answering import Overtaken, store_answer
from app.participants.models import Participant
from app.participants.progress import Progress
from taxonomy.tree import Criteria, Pair

ANSWERS = {
    "appears": "Appears",
    "does_not_appear": "Does not appear",
    "cannot_tell": "Cannot tell",
}


@dataclass(frozen=True, slots=True)
class Item:
    """One question: does this attribute appear? Polarity is not part of it, so it cannot sway.

    `image_position` is the image's place in the participant's order, `root` is the name of the root dimension, `answer` and `revision` are the participant's own.
    `key` and `polarity` find the attribute's examples and are shown nowhere; an attention check has none.
    """

    id: int
    image_id: int
    image_position: int
    root: str
    name: str
    definition: str
    answer: str | None
    revision: int
    key: str | None = None
    polarity: str | None = None


@dataclass(frozen=True, slots=True)
class ImageToJudge:
    """One image of the sample with its questions. `position` is its place for the participant, from 1."""

    id: int
    position: int
    width: int
    height: int
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """An answer as it stands now, and the participant's progress with it."""

    item_id: int
    answer: str
    revision: int
    progress: Progress


def consent(db: Session, participant: Participant, *, read: int | None = None) -> None:
    """Record that the participant read the notice (number `read`) and agreed.

    Doing so twice changes nothing. Raises Stale where the notice was changed meanwhile.
    """
    audit = hold(db, participant, alone=True)
    taking_part.consent(db, participant, instrument(audit), read=read)
    give_share(db, audit, participant)


def judge(
    db: Session,
    participant: Participant,
    item_id: int,
    answer: str,
    *,
    based_on: int | None = None,
) -> Judged:
    """Store the participant's answer about one item; a change of mind replaces it until finished.

    Sending the same answer again changes nothing. `based_on` is the revision the participant saw
    (0: none): an answer that arrives after a newer one is refused with Stale and both values.
    Raises Conflict before consent, after finishing and where the audit is closed, NotFound for an
    item of another audit, Invalid for an unknown answer.
    """
    if answer not in ANSWERS:
        raise Invalid(f"An answer is one of {', '.join(ANSWERS)}.", field="answer")
    audit = hold(db, participant)
    taking_part.refuse_unless_taking_part(participant)
    known = select(AuditItem.id).where(AuditItem.id == item_id, is_asked(audit, participant))
    if db.scalar(known) is None:
        raise NotFound(f"This audit has no item {item_id}.")
    revision = _store(db, participant, item_id, answer, based_on)
    return Judged(item_id, answer, revision, get_progress(db, participant))


def _store(
    db: Session, participant: Participant, item_id: int, answer: str, based_on: int | None
) -> int:
    key = {"participant_id": participant.id, "item_id": item_id}
    try:
        return store_answer(
            db, Judgement, key, answer, based_on=based_on, audit_id=participant.audit_id
        )
    except Overtaken as newer:
        raise Stale(
            f"You answered “{ANSWERS[newer.answer]}” here since.",
            field="answer",
            hint="Answer again if you want to change it.",
            answer=newer.answer,
            revision=newer.revision,
        ) from newer


def finish(db: Session, participant: Participant) -> None:
    """The participant's answers stand from now on. Doing so twice changes nothing.

    Raises Conflict while items are unanswered, with how many there are.
    """
    hold(db, participant, alone=True)
    taking_part.finish(
        db,
        participant,
        get_progress(db, participant),
        hint="Where you cannot decide, “Cannot tell” is an answer too.",
    )


def withdraw(db: Session, participant: Participant) -> None:
    """Delete all answers of the participant, who takes no part any more; also in a closed audit, and where
    their link was revoked.

    Doing so twice changes nothing.
    """
    # Not even what is being answered in this moment outlives it: answering holds the participant too.
    access.hold(db, participant, alone=True, even_revoked=True)
    for table in (Judgement, AuditProbe, AuditShare):
        db.execute(delete(table).where(table.participant_id == participant.id))
    taking_part.withdraw(db, participant)


# Reading -------------------------------------------------------------------------------------


def get_progress(db: Session, participant: Participant) -> Progress:
    """How many items the participant has answered, of how many; those of erased images are not asked."""
    items, answered = db.execute(
        select(func.count(), func.count(Judgement.item_id))
        .select_from(AuditItem)
        .outerjoin(
            Judgement,
            (Judgement.item_id == AuditItem.id) & (Judgement.participant_id == participant.id),
        )
        .where(
            is_asked(db.get_one(Audit, participant.audit_id), participant),
            AuditItem.image_id.not_in(erased()),
        )
    ).one()
    return Progress(answered=answered, items=items)


def next_item(db: Session, participant: Participant) -> tuple[int, int] | None:
    """The first unanswered item in the participant's order, as (place of the image, item id), or None."""
    place = _place(db, participant)
    row = db.execute(
        select(place, AuditItem.id)
        .where(_unanswered(db, participant))
        .order_by(place, AuditItem.id)
        .limit(1)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def _place(db: Session, participant: Participant) -> ColumnElement[int]:
    audit = db.get_one(Audit, participant.audit_id)
    return place_in(image_order(db, audit, participant))


def _unanswered(db: Session, participant: Participant) -> ColumnElement[bool]:
    """Whether an item of the statement is one that the participant is still asked."""
    answered = select(Judgement.item_id).where(Judgement.participant_id == participant.id)
    return and_(
        is_asked(db.get_one(Audit, participant.audit_id), participant),
        AuditItem.id.not_in(answered),
        AuditItem.image_id.not_in(erased()),
    )


def next_image(db: Session, participant: Participant) -> int | None:
    """Place of the first image with an unanswered item; None where all are answered."""
    found = next_item(db, participant)
    return found[0] if found else None


def find_unfinished_images(
    db: Session, participant: Participant, *, limit: int = 50
) -> list[tuple[int, int]]:
    """Images with unanswered items, as (place, how many), in the participant's order."""
    place = _place(db, participant).label("place")
    rows = db.execute(
        select(place, func.count())
        .where(_unanswered(db, participant))
        .group_by(place)
        .order_by(place)
        .limit(limit)
    )
    return [(each, count) for each, count in rows]


def get_image_to_judge(
    db: Session, participant: Participant, audit: Audit, place: int
) -> ImageToJudge:
    """The image at this place with its items in tree order. Raises NotFound beyond the sample."""
    rows = db.execute(
        select(AuditItem, Node.key, Judgement.answer, Judgement.revision, Image)
        .outerjoin(Node, Node.id == AuditItem.node_id)
        .join(Image, Image.id == AuditItem.image_id)
        .outerjoin(
            Judgement,
            (Judgement.item_id == AuditItem.id) & (Judgement.participant_id == participant.id),
        )
        .where(
            AuditItem.audit_id == audit.id,
            AuditItem.image_position == position_at(db, audit, participant, place),
        )
        .order_by(AuditItem.id)
    ).all()
    if not rows:
        raise NotFound(f"There is no image {place} for you in this audit.")
    tree = get_audit_criteria(db, audit).tree
    image = rows[0][4]
    return ImageToJudge(
        id=image.id,
        position=place,
        width=image.width,
        height=image.height,
        items=tuple(
            _item(tree, item, place, key, answer, revision)
            for item, key, answer, revision, _ in rows
        ),
    )


def position_at(db: Session, audit: Audit, participant: Participant, place: int) -> int | None:
    """Where in the sample the image at a place of the participant's order is; None beyond its ends."""
    order = image_order(db, audit, participant)
    return order[place - 1] if 1 <= place <= len(order) else None


def count_images(db: Session, audit: Audit, participant: Participant) -> int:
    """How many images the participant is asked about, or will be once they agree."""
    return len(image_order(db, audit, participant)) or images_for(audit)


def find_items(
    db: Session, participant: Participant, audit: Audit, *, after: int = 0, limit: int = 100
) -> list[Item]:
    """The participant's items in their order, a page at a time, from behind the item `after`."""
    order = image_order(db, audit, participant)
    place = place_in(order)
    rows = db.execute(
        select(AuditItem, place, Node.key, Judgement.answer, Judgement.revision)
        .outerjoin(Node, Node.id == AuditItem.node_id)
        .outerjoin(
            Judgement,
            (Judgement.item_id == AuditItem.id) & (Judgement.participant_id == participant.id),
        )
        .where(
            is_asked(audit, participant),
            true() if not after else tuple_(place, AuditItem.id) > _key(db, audit, order, after),
        )
        .order_by(place, AuditItem.id)
        .limit(limit)
    )
    tree = get_audit_criteria(db, audit).tree
    return [_item(tree, *row) for row in rows]


def _key(db: Session, audit: Audit, order: tuple[int, ...], item_id: int) -> Any:
    """By what an item is sorted in this order. Raises NotFound for one of another audit."""
    position = db.scalar(
        select(AuditItem.image_position).where(
            AuditItem.audit_id == audit.id, AuditItem.id == item_id
        )
    )
    if position not in order:
        raise NotFound(f"This audit has no item {item_id}.")
    return tuple_(literal(order.index(position) + 1), literal(item_id))


def _item(
    tree: Criteria,
    item: AuditItem,
    place: int,
    key: str | None,
    answer: str | None,
    revision: int | None,
) -> Item:
    root, name, definition = _words(tree, item, key)
    return Item(
        id=item.id,
        image_id=item.image_id,
        image_position=place,
        root=root,
        name=name,
        definition=definition,
        answer=answer,
        revision=revision or 0,
        key=key,
        polarity=item.polarity,
    )


def _words(tree: Criteria, item: AuditItem, key: str | None) -> tuple[str, str, str]:
    """The root dimension, name and definition of what is asked; an attention check says itself what to answer."""
    if key is None:
        wanted = ANSWERS[str(item.expected)]
        said = f"This question is about no attribute. Please answer “{wanted}”, whatever you see."
        return "", "Are you reading this?", said
    entry = tree.entry(key)
    assert isinstance(entry.node, Pair)
    side = entry.node.attribute(as_polarity(str(item.polarity)))
    return entry.root.name, side.name, side.definition


def get_shown_image(db: Session, participant: Participant, image_id: int) -> Image:
    """An image that the participant is asked about or practises on. Raises NotFound for every other image."""
    audit = db.get_one(Audit, participant.audit_id)
    shown = union(
        select(AuditItem.image_id).where(is_asked(audit, participant)),
        select(PracticeItem.image_id).where(PracticeItem.audit_id == audit.id),
    )
    found = db.scalar(select(Image).where(Image.id == image_id, Image.id.in_(shown), is_there()))
    if found is None:
        raise NotFound(f"This audit has no image {image_id}.")
    return found


def get_image_id(db: Session, participant: Participant, audit: Audit, place: int) -> int | None:
    """The image at a place of the participant's order, or None beyond its end."""
    return db.scalar(
        select(AuditItem.image_id)
        .where(
            AuditItem.audit_id == audit.id,
            AuditItem.image_position == position_at(db, audit, participant, place),
        )
        .limit(1)
    )


def item_after(db: Session, participant: Participant, item_id: int) -> tuple[int, int]:
    """Where to go on after an item, as (place of the image, item id): the next of its image, or itself."""
    position, place = db.execute(
        select(AuditItem.image_position, _place(db, participant)).where(
            AuditItem.id == item_id, AuditItem.audit_id == participant.audit_id
        )
    ).one()
    following = db.scalar(
        select(AuditItem.id)
        .where(
            AuditItem.audit_id == participant.audit_id,
            AuditItem.image_position == position,
            AuditItem.id > item_id,
        )
        .order_by(AuditItem.id)
        .limit(1)
    )
    return place, following or item_id

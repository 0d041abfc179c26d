"""What people said of attributes without a suggestion in view: by that, and by nothing else, two runs are judged.

Participants of closed audits and second readers were asked, and said yes or no. What somebody names unasked (labelling with
suggestions hidden, or where an audit asks what is missing) says that it is there; what they do not name is not said to be
absent, so it tells of what a run missed and not of what it made up.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from sqlalchemy import ColumnElement, Select, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from app.agents.sides import number_of
from app.audits.models import Audit, AuditItem, Judgement, MissedAttribute
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.models import LabelEvent
from app.participants.models import Participant
from app.participants.progress import counted
from app.readings.models import ReadAnswer, ReadImage, SecondReading

_Rows: TypeAlias = Select[int, int | None, str | None, int, int]
DECIDING = ("confirm", "reject", "doubt", "add", "withdraw", "undo")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What most people say of one side (`place`) of an image; `was_asked` where any was asked about it."""

    image_id: int
    place: int
    is_there: bool
    was_asked: bool


class _Votes(NamedTuple):
    image_id: int
    node_id: int
    polarity: str
    yes: int
    no: int
    was_asked: bool


def find_verdicts(db: Session, project_id: int, places: Mapping[int, int]) -> list[Verdict]:
    """The verdicts about sides that have a place (by their numbers), of images in use. Ties are no verdict."""
    votes: dict[tuple[int, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for each in _votes(db, project_id):
        place = places.get(number_of(each.node_id, each.polarity))
        if place is not None:
            tally = votes[each.image_id, place]
            tally[0] += each.yes
            tally[1] += each.no
            tally[2] += each.was_asked
    return [
        Verdict(image_id, place, yes > no, bool(asked))
        for (image_id, place), (yes, no, asked) in sorted(votes.items())
        if yes != no
    ]


def _votes(db: Session, project_id: int) -> Iterator[_Votes]:
    for statement in (_in_audits(project_id), _by_second_readers(project_id)):
        for image_id, node_id, polarity, yes, no in db.execute(statement):
            yield _Votes(image_id, node_id or 0, polarity or "", yes, no, was_asked=True)
    for statement in (_unasked(project_id), _missing(project_id)):
        for image_id, node_id, polarity, yes, no in db.execute(statement):
            yield _Votes(image_id, node_id or 0, polarity or "", yes, no, was_asked=False)


def _in_audits(project_id: int) -> _Rows:
    yes, no = (Judgement.answer == each for each in ("appears", "does_not_appear"))
    return (
        select(AuditItem.image_id, AuditItem.node_id, AuditItem.polarity, _sum(yes), _sum(no))
        .join(Judgement, Judgement.item_id == AuditItem.id)
        .join(Participant, Participant.id == Judgement.participant_id)
        .join(Image, Image.id == AuditItem.image_id)
        .where(
            AuditItem.audit_id.in_(_counting(project_id)),
            AuditItem.node_id.is_not(None),
            counted(),
            in_use(),
        )
        .group_by(AuditItem.image_id, AuditItem.node_id, AuditItem.polarity)
    )


def _counting(project_id: int) -> Select[int]:
    return select(Audit.id).where(
        Audit.project_id == project_id, Audit.state == "closed", ~Audit.is_simulated
    )


def _missing(project_id: int) -> _Rows:
    """What participants of audits saw and were not asked about."""
    at = (
        select(AuditItem.audit_id, AuditItem.image_position, AuditItem.image_id)
        .where(AuditItem.audit_id.in_(_counting(project_id)))
        .distinct()
        .subquery()
    )
    return (
        select(
            at.c.image_id,
            MissedAttribute.node_id,
            MissedAttribute.polarity,
            func.count(),
            literal(0),
        )
        .join(Participant, Participant.id == MissedAttribute.participant_id)
        .join(
            at,
            (at.c.audit_id == Participant.audit_id)
            & (at.c.image_position == MissedAttribute.image_position),
        )
        .join(Image, Image.id == at.c.image_id)
        .where(counted(), in_use())
        .group_by(at.c.image_id, MissedAttribute.node_id, MissedAttribute.polarity)
    )


def _by_second_readers(project_id: int) -> _Rows:
    last = (
        select(
            ReadImage.image_id,
            ReadAnswer.node_id,
            ReadAnswer.polarity,
            ReadAnswer.answer,
            ReadAnswer.is_blind,
        )
        .join(ReadImage, ReadImage.id == ReadAnswer.read_image_id)
        .join(SecondReading, SecondReading.id == ReadImage.reading_id)
        .join(Image, Image.id == ReadImage.image_id)
        .where(SecondReading.project_id == project_id, in_use())
        .ext(distinct_on(ReadAnswer.read_image_id, ReadAnswer.node_id, ReadAnswer.polarity))
        .order_by(
            ReadAnswer.read_image_id, ReadAnswer.node_id, ReadAnswer.polarity, ReadAnswer.id.desc()
        )
        .subquery()
    )
    yes, no = (last.c.answer == each for each in ("confirmed", "rejected"))
    return (
        select(last.c.image_id, last.c.node_id, last.c.polarity, _sum(yes), _sum(no))
        .where(last.c.is_blind)
        .group_by(last.c.image_id, last.c.node_id, last.c.polarity)
    )


def _unasked(project_id: int) -> _Rows:
    """What people set on images with suggestions hidden; the last that each of them said."""
    last = (
        select(LabelEvent.image_id, LabelEvent.node_id, LabelEvent.polarity, LabelEvent.after)
        .join(Image, Image.id == LabelEvent.image_id)
        .where(
            Image.project_id == project_id,
            in_use(),
            LabelEvent.person_id.is_not(None),
            LabelEvent.node_id.is_not(None),
            ~LabelEvent.suggestion_visible,
            LabelEvent.bulk_action_id.is_(None),
            LabelEvent.kind.in_(DECIDING),
        )
        .ext(
            distinct_on(
                LabelEvent.image_id, LabelEvent.node_id, LabelEvent.polarity, LabelEvent.person_id
            )
        )
        .order_by(
            LabelEvent.image_id,
            LabelEvent.node_id,
            LabelEvent.polarity,
            LabelEvent.person_id,
            LabelEvent.id.desc(),
        )
        .subquery()
    )
    return (
        select(last.c.image_id, last.c.node_id, last.c.polarity, func.count(), literal(0))
        .where(last.c.after == "confirmed")
        .group_by(last.c.image_id, last.c.node_id, last.c.polarity)
    )


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.count().filter(condition)

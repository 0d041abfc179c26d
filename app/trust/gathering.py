"""Gathers what people answered without an agent's suggestion in view, and what agents said of the same images.

Three sources: audits that are closed (participants see no suggestion and no label), second readings that are finished
(whoever reads was never shown what is suggested), and decisions that members made while suggestions were hidden from them. What
was asked there and is not known to hold are decoys, too: what is answered to those tells how readily people say yes.
Left out are simulated audits, participants whose link was revoked, "cannot tell" and "unsure", what was said without being
asked (additions), decisions made on many images at once, and those that settled two readings: they were asked for
because two people differ.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session, aliased

from app.agents.models import AgentRunImage
from app.agents.sides import number_of
from app.audits.models import Audit, AuditItem, Judgement
from app.images.inclusion import in_use, left_out
from app.images.models import Image
from app.labels.models import LabelEvent
from app.participants.models import Participant
from app.participants.progress import counted
from app.projects.models import Project
from app.readings.models import ReadAnswer, ReadImage, ReadQuestion, SecondReading, Settlement

Source = Literal["audit", "reading", "correction"]
SOURCES: tuple[Source, ...] = ("audit", "reading", "correction")
AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class BlindAnswer:
    """What somebody said of an attribute of an image, as the number of its side (`app.agents.sides`). `person` tells
    people apart and nothing else; `is_decoy`: it was asked about though nobody held it to be there.
    """

    image_id: int
    side: int
    person: str
    is_yes: bool
    source: Source
    is_decoy: bool


def find_blind_answers(db: Session, project: Project) -> list[BlindAnswer]:
    """Every answer of a project that was given without a suggestion in view; three queries."""
    return [*_of_audits(db, project), *_of_readings(db, project), *_corrections(db, project)]


def find_statements(
    db: Session, runs: Sequence[int], image_ids: Collection[int]
) -> Iterator[tuple[int, int, dict[int, float | None]]]:
    """What each run says of each of these images that it looked at: (image, run, how sure it is of each side that it
    says holds). Of images that were replaced since nothing.
    """
    wanted = sorted(image_ids)
    for start in range(0, len(wanted), AT_ONCE):
        rows = db.execute(
            select(
                AgentRunImage.image_id,
                AgentRunImage.agent_run_id,
                AgentRunImage.found,
                AgentRunImage.sure,
            )
            .join(Image, Image.id == AgentRunImage.image_id)
            .where(
                AgentRunImage.agent_run_id.in_(runs),
                AgentRunImage.image_id.in_(wanted[start : start + AT_ONCE]),
                AgentRunImage.found.is_not(None),
                AgentRunImage.image_sha256 == Image.sha256,
                in_use(),
            )
            .order_by(AgentRunImage.image_id, AgentRunImage.agent_run_id)
        )
        for image_id, run_id, found, sure in rows:
            sides = found or []
            yield image_id, run_id, dict(zip(sides, sure or [None] * len(sides), strict=True))


def find_some_images(db: Session, runs: Sequence[int], number: int) -> list[int]:
    """About so many of the images that these runs looked at, evenly spread over them, by id."""
    looked = select(AgentRunImage.image_id).where(
        AgentRunImage.agent_run_id.in_(runs), AgentRunImage.found.is_not(None)
    )
    each = looked.distinct().subquery()
    places = select(
        each.c.image_id,
        func.row_number().over(order_by=each.c.image_id).label("place"),
        func.count().over().label("all"),
    ).subquery()
    step = func.greatest(places.c.all / number, 1)
    return list(
        db.scalars(
            select(places.c.image_id)
            .where(places.c.place % step == 0)
            .order_by(places.c.image_id)
            .limit(number)
        )
    )


def _answers(
    rows: Iterable[Sequence[object]], source: Source, person: str
) -> Iterator[BlindAnswer]:
    """Rows of image, node, polarity, number of the person, whether yes, whether a decoy."""
    for image_id, node_id, polarity, number, is_yes, is_decoy in rows:
        side = number_of(int(str(node_id)), str(polarity))
        yield BlindAnswer(
            int(str(image_id)), side, f"{person} {number}", bool(is_yes), source, bool(is_decoy)
        )


def _of_audits(db: Session, project: Project) -> Iterator[BlindAnswer]:
    rows = db.execute(
        select(
            AuditItem.image_id,
            AuditItem.node_id,
            AuditItem.polarity,
            Judgement.participant_id,
            Judgement.answer == "appears",
            AuditItem.kind == "decoy",
        )
        .join(Audit, Audit.id == AuditItem.audit_id)
        .join(Judgement, Judgement.item_id == AuditItem.id)
        .join(Participant, Participant.id == Judgement.participant_id)
        .where(
            Audit.project_id == project.id,
            Audit.state == "closed",
            ~Audit.is_simulated,
            AuditItem.kind.in_(("label", "decoy")),
            AuditItem.image_id.not_in(left_out(project.id)),
            Judgement.answer != "cannot_tell",
            counted(),
        )
        .order_by(Judgement.item_id, Judgement.participant_id)
    )
    return _answers(rows, "audit", "participant")


def _of_readings(db: Session, project: Project) -> Iterator[BlindAnswer]:
    """What second readers answered at last to what they were asked."""
    last = (
        select(func.max(ReadAnswer.id))
        .group_by(ReadAnswer.read_image_id, ReadAnswer.node_id, ReadAnswer.polarity)
        .correlate(None)
    )
    rows = db.execute(
        select(
            ReadImage.image_id,
            ReadAnswer.node_id,
            ReadAnswer.polarity,
            ReadImage.reader_id,
            ReadAnswer.answer == "confirmed",
            ReadQuestion.first.is_(None),
        )
        .join(ReadImage, ReadImage.id == ReadAnswer.read_image_id)
        .join(SecondReading, SecondReading.id == ReadImage.reading_id)
        .join(
            ReadQuestion,
            (ReadQuestion.read_image_id == ReadAnswer.read_image_id)
            & (ReadQuestion.node_id == ReadAnswer.node_id)
            & (ReadQuestion.polarity == ReadAnswer.polarity),
        )
        .where(
            SecondReading.project_id == project.id,
            ReadImage.read_at.is_not(None),
            ReadImage.image_id.not_in(left_out(project.id)),
            ReadAnswer.is_blind,
            ReadAnswer.answer.in_(("confirmed", "rejected")),
            ReadAnswer.id.in_(last),
        )
        .order_by(ReadAnswer.id)
    )
    return _answers(rows, "reading", "member")


def _corrections(db: Session, project: Project) -> Iterator[BlindAnswer]:
    """What members decided at last on single labels while suggestions were hidden, and did not undo."""
    undoing, later = aliased(LabelEvent), aliased(LabelEvent)
    decided = ("confirmed", "rejected")
    rows = db.execute(
        select(
            LabelEvent.image_id,
            LabelEvent.node_id,
            LabelEvent.polarity,
            LabelEvent.person_id,
            LabelEvent.after == "confirmed",
            LabelEvent.id.is_(None),
        )
        .join(Image, Image.id == LabelEvent.image_id)
        .where(
            Image.project_id == project.id,
            in_use(),
            ~LabelEvent.suggestion_visible,
            LabelEvent.person_id.is_not(None),
            LabelEvent.kind.in_(("confirm", "reject", "add")),
            LabelEvent.after.in_(decided),
            LabelEvent.bulk_action_id.is_(None),
            ~exists().where(
                undoing.image_id == LabelEvent.image_id, undoing.undoes_id == LabelEvent.id
            ),
            ~exists().where(Settlement.event_id == LabelEvent.id),
            ~exists().where(
                later.image_id == LabelEvent.image_id,
                later.node_id == LabelEvent.node_id,
                later.polarity == LabelEvent.polarity,
                later.person_id == LabelEvent.person_id,
                later.id > LabelEvent.id,
                later.kind.in_(("confirm", "reject", "add", "doubt", "withdraw")),
            ),
        )
        .order_by(LabelEvent.id)
    )
    return _answers(rows, "correction", "member")

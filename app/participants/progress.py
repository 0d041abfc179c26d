"""How far participants are: what a lead sees of each, and how many are in which state. Never single answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from app.participants.access import instrument_of
from app.participants.instruments import Instrument
from app.participants.models import Participant


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a participant is: questions answered of all."""

    answered: int
    items: int

    @property
    def left(self) -> int:
        """How many questions have no answer yet."""
        return self.items - self.answered


@dataclass(frozen=True, slots=True)
class Given:
    """How many answers a participant has given, of how many, and when the last; and how many attention checks were
    answered and passed. Counted by the room that keeps them.
    """

    answered: int = 0
    last_answer_at: datetime | None = None
    asked: int = 0
    checks: int = 0
    checks_passed: int = 0


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """A participant as a lead sees them: a number and how far they are, never single answers."""

    number: int
    state: str
    answered: int
    asked: int
    checks: int
    checks_passed: int
    consented_at: datetime | None
    finished_at: datetime | None
    last_answer_at: datetime | None


@dataclass(frozen=True, slots=True)
class People:
    invited: int = 0
    judging: int = 0
    finished: int = 0
    withdrawn: int = 0
    revoked: int = 0

    @property
    def counted(self) -> int:
        """Those whose answers count, whether they have given any or not."""
        return self.invited + self.judging + self.finished


def participant_state(participant: Participant) -> str:
    """`withdrawn`, `revoked`, `finished`, `judging` (has agreed to take part) or `invited`."""
    # Who withdraws after their link was revoked has deleted what revoking only left out.
    if participant.withdrawn_at is not None:
        return "withdrawn"
    if participant.revoked_at is not None:
        return "revoked"
    if participant.finished_at is not None:
        return "finished"
    return "judging" if participant.consented_at is not None else "invited"


def counted() -> ColumnElement[bool]:
    """Whether the answers of a participant of the statement count in figures."""
    return Participant.revoked_at.is_(None)


def find_participants(
    db: Session, instrument: Instrument, *, after: int = 0, limit: int = 100
) -> Sequence[Participant]:
    return db.scalars(
        select(Participant)
        .filter_by(**instrument.columns)
        .where(Participant.number > after)
        .order_by(Participant.number)
        .limit(limit)
    ).all()


def describe(
    participants: Sequence[Participant], given: Mapping[int, Given]
) -> list[ParticipantRow]:
    """Participants as a lead sees them; `given` says by id what each has answered."""
    return [_row(each, given.get(each.id, Given())) for each in participants]


def _row(participant: Participant, given: Given) -> ParticipantRow:
    return ParticipantRow(
        number=participant.number,
        state=participant_state(participant),
        answered=given.answered,
        asked=given.asked,
        checks=given.checks,
        checks_passed=given.checks_passed,
        consented_at=participant.consented_at,
        finished_at=participant.finished_at,
        last_answer_at=given.last_answer_at,
    )


def count_people(db: Session, instruments: Sequence[Instrument]) -> dict[Instrument, People]:
    """How many participants of each are in which state; nothing for one that has none."""
    among = or_(
        Participant.audit_id.in_([each.audit_id for each in instruments if each.audit_id]),
        Participant.study_id.in_([each.study_id for each in instruments if each.study_id]),
    )
    states: dict[Instrument, dict[str, int]] = {}
    for each in db.scalars(select(Participant).where(among)):
        of = states.setdefault(instrument_of(each), {})
        state = participant_state(each)
        of[state] = of.get(state, 0) + 1
    return {instrument: People(**counts) for instrument, counts in states.items()}

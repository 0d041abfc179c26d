"""Participants: anonymous numbers that come in through links; no account, no name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.signing_in import new_token, token_hash
from app.audits.models import Audit, AuditParticipant, Judgement
from app.errors import Conflict, Invalid, NotFound

MOST_AT_ONCE = 50
MOST = 500


@dataclass(frozen=True, slots=True)
class ParticipantRow:
    """A participant as a lead sees them: a number and how far they are, never single answers."""

    number: int
    state: str
    answered: int
    consented_at: datetime | None
    finished_at: datetime | None
    last_answer_at: datetime | None


def invite_participants(db: Session, audit: Audit, count: int) -> list[tuple[int, str]]:
    """Make `count` participants. Returns each one's number and token; the token is not kept.

    Numbers go on from the last one and are never given twice. Raises Conflict for a closed audit.
    """
    _refuse_closed(db, audit)
    if not 1 <= count <= MOST_AT_ONCE:
        raise Invalid(f"Make 1 to {MOST_AT_ONCE} links at a time.", field="count")
    last = _last_number(db, audit)
    if last + count > MOST:
        raise Invalid(f"An audit has at most {MOST} participants.", field="count")
    made = [(number, new_token()) for number in range(last + 1, last + count + 1)]
    db.add_all(
        AuditParticipant(audit_id=audit.id, number=number, token_hash=token_hash(token))
        for number, token in made
    )
    db.flush()
    return made


def _refuse_closed(db: Session, audit: Audit) -> None:
    # The lock also makes two leads who invite at once take different numbers.
    db.refresh(audit, with_for_update=True)
    if audit.state == "closed":
        raise Conflict("This audit is closed; no one can join it any more.", field="count")


def _last_number(db: Session, audit: Audit) -> int:
    return (
        db.scalar(
            select(func.max(AuditParticipant.number)).where(AuditParticipant.audit_id == audit.id)
        )
        or 0
    )


def revoke_participant(db: Session, audit: Audit, number: int) -> None:
    """Make a participant's link useless and leave their answers out of every figure.

    The answers stay stored. Doing so twice changes nothing. Raises NotFound.
    """
    participant = db.scalar(
        select(AuditParticipant)
        .where(AuditParticipant.audit_id == audit.id, AuditParticipant.number == number)
        .with_for_update()
    )
    if participant is None:
        raise NotFound(f"This audit has no participant {number}.")
    participant.revoked_at = participant.revoked_at or datetime.now(UTC)


def find_participants(
    db: Session, audit: Audit, *, after: int = 0, limit: int = 100
) -> Sequence[ParticipantRow]:
    """An audit's participants by number, with how many items each has answered."""
    page = (
        select(AuditParticipant)
        .where(AuditParticipant.audit_id == audit.id, AuditParticipant.number > after)
        .order_by(AuditParticipant.number)
        .limit(limit)
    )
    participants = db.scalars(page).all()
    given = {
        participant_id: (answered, last)
        for participant_id, answered, last in db.execute(
            select(Judgement.participant_id, func.count(), func.max(Judgement.at))
            .where(Judgement.participant_id.in_([each.id for each in participants]))
            .group_by(Judgement.participant_id)
        )
    }
    return [_row(each, *given.get(each.id, (0, None))) for each in participants]


def _row(participant: AuditParticipant, answered: int, last: datetime | None) -> ParticipantRow:
    return ParticipantRow(
        number=participant.number,
        state=participant_state(participant),
        answered=answered,
        consented_at=participant.consented_at,
        finished_at=participant.finished_at,
        last_answer_at=last,
    )


def participant_state(participant: AuditParticipant) -> str:
    """`revoked`, `finished`, `judging` (has agreed to take part) or `invited`."""
    if participant.revoked_at is not None:
        return "revoked"
    if participant.finished_at is not None:
        return "finished"
    return "judging" if participant.consented_at is not None else "invited"


def close_audit(db: Session, audit: Audit) -> None:
    """Take no more answers. What was answered stays and counts. Doing so twice changes nothing."""
    db.refresh(audit, with_for_update=True)
    if audit.state == "open":
        audit.state, audit.closed_at = "closed", datetime.now(UTC)
        db.flush()

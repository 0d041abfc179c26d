"""Who takes part in an audit, and its end. Participants are a room of their own; answers are counted here."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.audits.access import instrument
from app.audits.models import Audit, AuditItem, AuditShare, Judgement
from app.errors import Conflict
from app.images.inclusion import erased
from app.participants import inviting, notices, progress
from app.participants.models import ConsentNotice
from app.participants.progress import Given, ParticipantRow


def invite_participants(db: Session, audit: Audit, count: int) -> list[tuple[int, str]]:
    """Make `count` participants. Returns each one's number and token; the token is not kept.

    Numbers go on from the last one and are never given twice. Raises Conflict for a closed audit.
    """
    # The lock also makes two leads who invite at once take different numbers.
    db.refresh(audit, with_for_update=True)
    if audit.state == "closed":
        raise Conflict("This audit is closed; no one can join it any more.", field="count")
    return inviting.invite(db, instrument(audit), count)


def revoke_participant(db: Session, audit: Audit, number: int) -> None:
    """Make a participant's link useless and leave their answers out of every figure.

    The answers stay stored. Doing so twice changes nothing. Raises NotFound.
    """
    inviting.revoke(db, instrument(audit), number)


def rewrite_notice(
    db: Session, audit: Audit, text: str, *, by: Person, based_on: int | None = None
) -> ConsentNotice:
    """What participants read from now on; who has agreed already stays with what they read.

    Raises Conflict for a closed audit, Invalid for no text, Stale where `based_on` is not the newest.
    """
    db.refresh(audit, with_for_update=True)
    if audit.state == "closed":
        raise Conflict("This audit is closed; no one reads its notice any more.", field="notice")
    return notices.write_notice(db, instrument(audit), text, by=by, based_on=based_on)


def find_participants(
    db: Session, audit: Audit, *, after: int = 0, limit: int = 100
) -> Sequence[ParticipantRow]:
    """An audit's participants by number, with how many items each has answered and which checks they passed."""
    found = progress.find_participants(db, instrument(audit), after=after, limit=limit)
    ids = [each.id for each in found]
    asked = _count_asked(db, audit, ids)
    is_check = AuditItem.kind == "check"
    given = {each: Given(asked=asked[each]) for each in ids}
    for participant_id, answered, last, checks, passed in db.execute(
        select(
            Judgement.participant_id,
            func.count(),
            func.max(Judgement.at),
            func.count().filter(is_check),
            func.count().filter(is_check, Judgement.answer == AuditItem.expected),
        )
        .join(AuditItem, AuditItem.id == Judgement.item_id)
        .where(Judgement.participant_id.in_(ids))
        .group_by(Judgement.participant_id)
    ):
        given[participant_id] = Given(answered, last, asked[participant_id], checks, passed)
    return progress.describe(found, given)


def _count_asked(db: Session, audit: Audit, participant_ids: Sequence[int]) -> dict[int, int]:
    """How many items each participant is asked; none before they agreed, where images are shared out."""
    of_image = AuditItem.image_id.not_in(erased())
    if audit.images_each is None:
        number = db.scalar(select(func.count()).where(AuditItem.audit_id == audit.id, of_image))
        return dict.fromkeys(participant_ids, number or 0)
    rows = db.execute(
        select(AuditShare.participant_id, func.count())
        .join(
            AuditItem,
            (AuditItem.audit_id == AuditShare.audit_id)
            & (AuditItem.image_position == AuditShare.image_position),
        )
        .where(AuditShare.participant_id.in_(participant_ids), of_image)
        .group_by(AuditShare.participant_id)
    )
    return dict.fromkeys(participant_ids, 0) | dict(rows.all())


def close_audit(db: Session, audit: Audit) -> None:
    """Take no more answers. What was answered stays and counts. Doing so twice changes nothing."""
    db.refresh(audit, with_for_update=True)
    if audit.state == "open":
        audit.state, audit.closed_at = "closed", datetime.now(UTC)
        db.flush()

"""Finds a participant by the token of their link, and holds them still while something changes."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.signing_in import token_hash
from app.errors import NotFound
from app.participants.instruments import Instrument, Noun
from app.participants.models import Participant


def get_participant(
    db: Session, token: str, *, of: Noun, even_revoked: bool = False
) -> Participant:
    """Who came in through this link to an audit or a study. Raises NotFound, with the same words, for a link that is
    unknown, revoked, or leads to the other.

    `even_revoked` is for what stays a participant's right when their link was revoked: to read that, and to
    withdraw what they answered before.
    """
    participant = db.scalar(select(Participant).where(Participant.token_hash == token_hash(token)))
    leads_here = participant is not None and instrument_of(participant).noun == of
    if (
        participant is None
        or not leads_here
        or (participant.revoked_at is not None and not even_revoked)
    ):
        raise NotFound(
            f"This link does not lead to {'an audit' if of == 'audit' else 'a study'}, or it was withdrawn.",
            hint="Check that the whole link was copied, or ask whoever sent it for a new one.",
        )
    return participant


def instrument_of(participant: Participant) -> Instrument:
    """What a participant takes part in."""
    return Instrument(audit_id=participant.audit_id, study_id=participant.study_id)


def hold(
    db: Session, participant: Participant, *, alone: bool = False, even_revoked: bool = False
) -> None:
    """Lock a participant against being revoked, finished or withdrawn meanwhile.

    `alone` also makes their own requests wait for one another. Raises NotFound where the link was
    revoked in this moment, unless `even_revoked`.
    """
    db.refresh(participant, with_for_update=True if alone else {"read": True})
    if participant.revoked_at is not None and not even_revoked:
        raise NotFound("This link was withdrawn.")

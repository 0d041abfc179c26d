"""Links: each makes one participant, an anonymous number; no account, no name."""

from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.signing_in import new_token, token_hash
from app.errors import Invalid, NotFound
from app.participants.instruments import Instrument
from app.participants.models import Participant

MOST_AT_ONCE = 50
MOST = 500


def invite(db: Session, instrument: Instrument, count: int) -> list[tuple[int, str]]:
    """Make `count` participants. Returns each one's number and token; the token is not kept.

    Numbers go on from the last one and are never given twice: the caller holds the instrument, so that
    two leads who invite at once wait for one another.
    """
    if not 1 <= count <= MOST_AT_ONCE:
        raise Invalid(f"Make 1 to {MOST_AT_ONCE} links at a time.", field="count")
    last = _last_number(db, instrument)
    if last + count > MOST:
        raise Invalid(
            f"There are at most {MOST} participants in one {instrument.noun}.", field="count"
        )
    made = [(number, new_token()) for number in range(last + 1, last + count + 1)]
    db.add_all(
        Participant(**instrument.columns, number=number, token_hash=token_hash(token))
        for number, token in made
    )
    db.flush()
    return made


def _last_number(db: Session, instrument: Instrument) -> int:
    last = select(func.max(Participant.number)).filter_by(**instrument.columns)
    return db.scalar(last) or 0


def revoke(db: Session, instrument: Instrument, number: int) -> None:
    """Make a participant's link useless; figures leave their answers out (see `counted`).

    The answers stay stored. Doing so twice changes nothing. Raises NotFound.
    """
    participant = db.scalar(
        select(Participant).filter_by(**instrument.columns, number=number).with_for_update()
    )
    if participant is None:
        raise NotFound(f"This {instrument.noun} has no participant {number}.")
    participant.revoked_at = participant.revoked_at or datetime.now(UTC)

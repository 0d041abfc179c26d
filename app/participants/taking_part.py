"""A participant's seat from agreeing to its end: finished, or withdrawn.

Every verb here changes a participant whom the caller holds (`access.hold`), beside the instrument itself.
"""

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from app.errors import Conflict, Stale
from app.participants.instruments import Instrument
from app.participants.models import Participant
from app.participants.notices import get_notice
from app.participants.progress import Progress


def consent(
    db: Session, participant: Participant, instrument: Instrument, *, read: int | None = None
) -> None:
    """Record that the participant read the notice and agreed. Doing so twice changes nothing.

    `read` is the number of the notice that was on the page: raises Stale where it is not the newest.
    """
    refuse_withdrawn(participant)
    if participant.consented_at is not None:
        return
    notice = get_notice(db, instrument)
    if read is not None and read != notice.number:
        raise Stale(
            "The notice was changed while you read it.",
            hint="Please read it again.",
            number=notice.number,
        )
    participant.notice_id = notice.id
    participant.consented_at = datetime.now(UTC)
    db.flush()


def is_taking_part(participant: Participant) -> bool:
    """Whether the participant has agreed, and neither finished nor withdrawn."""
    return (
        participant.consented_at is not None
        and participant.finished_at is None
        and participant.withdrawn_at is None
    )


def may_answer(participant: Participant, state: str) -> bool:
    """Whether the participant may look and answer now, in an audit or a study in this state; else their link's first
    page says why not.
    """
    return state == "open" and participant.revoked_at is None and is_taking_part(participant)


def refuse_withdrawn(participant: Participant) -> None:
    """Raise Conflict where the participant has withdrawn."""
    if participant.withdrawn_at is not None:
        raise Conflict("You have withdrawn, and your answers are deleted.")


def refuse_unless_taking_part(participant: Participant) -> None:
    """Raise Conflict where the participant has not agreed yet, has finished, or has withdrawn."""
    refuse_withdrawn(participant)
    if participant.consented_at is None:
        raise Conflict("Please read the notice and agree to it first.")
    if participant.finished_at is not None:
        raise Conflict("You have finished; your answers stand as they are. Thank you.")


def finish(db: Session, participant: Participant, progress: Progress, *, hint: str) -> None:
    """The participant's answers stand from now on. Doing so twice changes nothing.

    Raises Conflict while questions are unanswered, with how many there are and the hint.
    """
    if participant.finished_at is not None:
        return
    refuse_unless_taking_part(participant)
    if progress.left:
        raise Conflict(
            f"{progress.left} of the questions have no answer yet.",
            hint=hint,
            left=progress.left,
        )
    participant.finished_at = datetime.now(UTC)
    db.flush()


def withdraw(db: Session, participant: Participant) -> None:
    """The participant takes no part any more, for good. Doing so twice changes nothing.

    Whoever keeps the answers deletes them in the same transaction.
    """
    participant.withdrawn_at = participant.withdrawn_at or datetime.now(UTC)
    db.flush()

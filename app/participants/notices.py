"""What participants are told before they agree.

A notice is never altered. A new text is a new notice: who comes later reads and agrees to that one; who has
agreed already stays with what they read.
"""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Invalid, Stale
from app.participants.instruments import Instrument
from app.participants.models import ConsentNotice, Participant
from method.saved_texts import several_lines

NOTICE_LENGTH = 20_000


def tidy_notice(text: str) -> str:
    """The text as it is kept. Raises Invalid, field `notice`, for one that is empty or too long."""
    text = several_lines(text)
    if not 1 <= len(text) <= NOTICE_LENGTH:
        raise Invalid(
            "Participants have to be told what they take part in and what is kept.",
            field="notice",
            hint=f"Write a notice of up to {NOTICE_LENGTH} characters.",
        )
    return text


def write_notice(
    db: Session,
    instrument: Instrument,
    text: str,
    *,
    by: Person | None,
    based_on: int | None = None,
) -> ConsentNotice:
    """The notice for everyone who agrees from now on. The same text again writes nothing.

    `based_on` is the number of the notice that was edited: raises Stale where somebody wrote a newer one
    since. The caller holds the instrument, so that two who write at once wait for one another.
    """
    text = tidy_notice(text)
    last = _newest(db, instrument)
    if last is not None and last.text == text:
        return last
    if last is not None and based_on is not None and based_on != last.number:
        raise Stale(
            "Someone else changed the notice meanwhile, to the text below.",
            field="notice",
            hint="Your text is still in the field: save again to put it in place of theirs.",
            number=last.number,
            text=last.text,
        )
    notice = ConsentNotice(
        **instrument.columns,
        number=last.number + 1 if last else 1,
        text=text,
        created_by=by.id if by else None,
    )
    db.add(notice)
    db.flush()
    return notice


def _newest(db: Session, instrument: Instrument) -> ConsentNotice | None:
    return db.scalar(
        select(ConsentNotice)
        .filter_by(**instrument.columns)
        .order_by(ConsentNotice.number.desc())
        .limit(1)
    )


def get_notice(db: Session, instrument: Instrument) -> ConsentNotice:
    """The notice that who comes now agrees to."""
    notice = _newest(db, instrument)
    assert notice is not None, "it is made together with its notice"
    return notice


def find_notices(
    db: Session, instrument: Instrument, *, limit: int = 50
) -> list[tuple[ConsentNotice, int]]:
    """The notices, newest first, each with how many participants agreed to it."""
    agreed = (
        select(Participant.notice_id, func.count().label("people"))
        .filter_by(**instrument.columns)
        .group_by(Participant.notice_id)
        .subquery()
    )
    rows = db.execute(
        select(ConsentNotice, func.coalesce(agreed.c.people, 0))
        .filter_by(**instrument.columns)
        .outerjoin(agreed, agreed.c.notice_id == ConsentNotice.id)
        .order_by(ConsentNotice.number.desc())
        .limit(limit)
    )
    return [(notice, people) for notice, people in rows]

"""When a session or a token was last used: noted now and then, and never in anybody's way.

All requests of a person would write the same row, and each would wait for the one before it to end. So
the note is a transaction of its own, after the request's, and steps aside where somebody holds the row.
"""

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.accounts.models import ApiToken, SignIn
from app.database import after_commit, unit_of_work

log = logging.getLogger("morelli.accounts")
NOTED_AGAIN = timedelta(minutes=5)


def note_sign_in(db: Session, held: SignIn) -> None:
    """Note after this unit of work that a session was used, where the last note is old."""
    if _is_old(held.seen_at):
        after_commit(db, lambda: _note(SignIn.id, SignIn.seen_at, held.id))


def note_token(db: Session, token: ApiToken) -> None:
    """The same for a bearer token."""
    if _is_old(token.used_at):
        after_commit(db, lambda: _note(ApiToken.id, ApiToken.used_at, token.id))


def _is_old(noted: datetime | None) -> bool:
    return noted is None or noted < datetime.now(UTC) - NOTED_AGAIN


def _note(
    key: InstrumentedAttribute[int],
    column: InstrumentedAttribute[datetime] | InstrumentedAttribute[datetime | None],
    wanted: int,
) -> None:
    now = datetime.now(UTC)
    # Another request may have noted it meanwhile, or be doing so: either is as good as this one.
    free = (
        select(key)
        .where(key == wanted, or_(column.is_(None), column < now - NOTED_AGAIN))
        .with_for_update(skip_locked=True)
    )
    try:
        with unit_of_work() as db:
            db.execute(
                update(key.class_).where(key.in_(free)).values({column: now}),
                execution_options={"synchronize_session": False},
            )
    except SQLAlchemyError as error:
        # The request itself is done, and its answer is worth more than this note.
        log.warning("a use was not noted: %s", type(error).__name__)

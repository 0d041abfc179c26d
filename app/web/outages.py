"""What the database's refusals mean to the person who asked: told apart by SQLSTATE, in one table."""

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from app.errors import AppError, TooBusy, Unavailable, disk_full

NO_ROOM = "53100"
TOO_MANY = {"53300", "53200", "53000"}
AGAIN = "Nothing was changed. Try again in a moment; sending the same action again is harmless."


def explain_outage(error: SQLAlchemyError) -> AppError:
    """The error to show for one that the database, or the way to it, gave."""
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    if state in ("55P03", "40P01", "40001"):
        return TooBusy("Somebody else is changing the same thing at this moment.", hint=AGAIN)
    if state in ("57014", "25P03", "25P04"):
        return TooBusy("This took the database too long and was stopped.", hint=AGAIN)
    if state == NO_ROOM:
        return disk_full("The database")
    if state in TOO_MANY or isinstance(error, PoolTimeout):
        return TooBusy("The database has no room for this at the moment.", hint=AGAIN)
    return Unavailable(
        "The database did not answer.",
        hint="Try again in a moment. If you were saving, it may or may not have been saved; "
        "sending the same action again is harmless.",
    )

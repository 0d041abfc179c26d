"""How many passwords may be tried: counted before a password is looked at, so that no two tries race.

Counted are tries of one account from one place. A place is a network address, or a browser in which this
person has signed in before: strangers who guess use up their own tries and never those of the person.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person, SignIn, SignInFailure
from app.database import unit_of_work
from app.errors import TooMany

WINDOW = timedelta(minutes=15)
FREE_TRIES = 5
FIRST_WAIT = 10
LONGEST_WAIT = 300
TRIES_PER_ADDRESS = 60
# Bits of an IPv6 address that tell connections apart.
ONE_CONNECTION = 64
# Of one account from all addresses together; browsers that the person knows are not among them.
TRIES_PER_ACCOUNT = 200


@dataclass(frozen=True, slots=True)
class Try:
    """One try, counted as a failure until it is found to be none."""

    id: int


def begin_try(email: str, *, address: str, browser_mark: str = "", field: str | None = None) -> Try:
    """Count a try, in a transaction of its own. `browser_mark` is what the browser has kept, `field`
    the one of the form beside which a refusal is shown.

    Raises TooMany, with the seconds to wait, where there were too many; such a try is not counted.
    """
    try:
        return _counted(email, _place_of(address), browser_mark)
    except TooMany as error:
        error.field = field
        raise


def _place_of(address: str) -> str:
    """An address as it is counted: of IPv6 the network, since one connection has all its addresses."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found), ONE_CONNECTION), strict=False))


def _counted(email: str, address: str, browser_mark: str) -> Try:
    with unit_of_work() as db:
        # Whoever tries the same account or comes from the same address waits for this count.
        for each in (f"email {email}", f"address {address}"):
            db.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(each, 0))))
        known = _known_browser(db, email, browser_mark)
        place = known or address
        _refuse(db, SignInFailure.email == email, SignInFailure.address == place)
        if known is None:
            _refuse_crowd(db, email, address)
        counted = SignInFailure(email=email, address=place)
        db.add(counted)
        db.flush()
        return Try(counted.id)


def forgive(db: Session, tried: Try) -> None:
    """The password was right: the try was none."""
    db.execute(delete(SignInFailure).where(SignInFailure.id == tried.id))


def mark_of(token_hash: bytes) -> str:
    """What a browser keeps to be known again; it signs nobody in."""
    return token_hash.hex()


def _known_browser(db: Session, email: str, mark: str) -> str | None:
    try:
        token_hash = bytes.fromhex(mark)
    except ValueError:
        return None
    found = db.scalar(
        select(SignIn.id)
        .join(Person, Person.id == SignIn.person_id)
        .where(SignIn.token_hash == token_hash, Person.email == email)
    )
    return f"browser {found}" if found is not None else None


def _count(db: Session, *which: ColumnElement[bool]) -> tuple[int, datetime | None]:
    since = datetime.now(UTC) - WINDOW
    counted = select(func.count(), func.max(SignInFailure.at)).where(SignInFailure.at > since)
    number, last = db.execute(counted.where(*which)).one()
    return number, last


def _refuse(db: Session, *which: ColumnElement[bool]) -> None:
    number, last = _count(db, *which)
    if number < FREE_TRIES or last is None:
        return
    wait = min(FIRST_WAIT * 2 ** (number - FREE_TRIES), LONGEST_WAIT)
    left = (last + timedelta(seconds=wait) - datetime.now(UTC)).total_seconds()
    if left > 0:
        raise _too_many("Too many wrong passwords for this account.", int(left) + 1)


def _refuse_crowd(db: Session, email: str, address: str) -> None:
    from_here, _ = _count(db, SignInFailure.address == address)
    if from_here >= TRIES_PER_ADDRESS:
        raise _too_many("Too many wrong passwords from this address.", int(WINDOW.total_seconds()))
    from_strangers, _ = _count(
        db, SignInFailure.email == email, SignInFailure.address.not_like("browser %")
    )
    if from_strangers >= TRIES_PER_ACCOUNT:
        raise _too_many(
            "Too many wrong passwords for this account. Browsers that were signed in before still can.",
            int(WINDOW.total_seconds()),
        )


def _too_many(message: str, seconds: int) -> TooMany:
    error = TooMany(message, hint=f"Wait {seconds} seconds, then try again.")
    error.retry_after = seconds
    return error

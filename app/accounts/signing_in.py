"""Signing in and out. Sessions live on the server; the browser keeps an opaque token."""

import hashlib
import secrets
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from app.accounts.guessing import begin_try, forgive
from app.accounts.models import Person, SignIn
from app.accounts.passwords import hash_password, is_password, renewed_hash
from app.accounts.presence import note_sign_in
from app.errors import Invalid, NotFound
from method.saved_texts import one_line

LIFETIME = timedelta(days=30)
IDLE = timedelta(days=14)


def token_hash(token: str) -> bytes:
    """What is stored of a token."""
    return hashlib.sha256(token.encode()).digest()


def new_token() -> str:
    """A token of 256 random bits."""
    return secrets.token_urlsafe(32)


def fold_email(email: str) -> str:
    """An e-mail address as it is stored and compared: the one place that decides which are the same.

    Capitals, blanks around it and ways to write an accent do not count, nor what copying brings along and
    nobody sees: marks of the reading direction, places where a line may break.
    """
    seen = "".join(c for c in email if unicodedata.category(c) != "Cf")
    # A Turkish telephone begins with a capital whose small letter is an i with a second dot.
    return _as_before(seen).replace("i\u0307", "i")


def _as_before(email: str) -> str:
    """The form in which earlier releases stored an address."""
    return unicodedata.normalize("NFKC", email).strip().lower()


def add_person(
    db: Session,
    *,
    email: str,
    name: str,
    password_hash: str | None = None,
    is_operator: bool = False,
) -> Person:
    """A new account; its texts are tidied already. One without a password is entered by links alone."""
    person = Person(email=email, name=name, password_hash=password_hash, is_operator=is_operator)
    db.add(person)
    db.flush()
    return person


def find_by_email(db: Session, email: str) -> Person | None:
    """The account with this e-mail address."""
    # Earlier releases stored addresses in other forms, the first without the normal form of accents.
    written = {fold_email(email), _as_before(email), email.strip().lower()}
    found = db.scalars(select(Person).where(Person.email.in_(written)).order_by(Person.id)).all()
    exact = [each for each in found if each.email == fold_email(email)]
    return next(iter([*exact, *found]), None)


def tidy_email(email: str) -> str:
    """An e-mail address as it is stored. Raises Invalid where it cannot be one."""
    tidy = fold_email(email)
    name, at, host = tidy.partition("@")
    if not (name and at and host) or any(c.isspace() for c in tidy) or len(tidy) > 254:
        raise Invalid("This is not an e-mail address.", field="email")
    return tidy


def tidy_person_name(name: str) -> str:
    """A person's name as it is stored. Raises Invalid where it is empty or too long."""
    tidy = one_line(name)
    if not 1 <= len(tidy) <= 120:
        raise Invalid("Please give a name of up to 120 characters.", field="name")
    return tidy


def check_password(
    db: Session, email: str, password: str, *, address: str, browser_mark: str = ""
) -> Person:
    """The person with this e-mail address and password.

    Raises Invalid with the same words for a wrong password and an unknown account, TooMany where
    someone is guessing. Every try is counted before the password is looked at.
    """
    email = fold_email(email)
    tried = begin_try(email, address=address, browser_mark=browser_mark)
    person = find_by_email(db, email)
    known = is_password(person.password_hash if person else None, password)
    if person is None or not known or person.disabled_at is not None:
        raise Invalid("E-mail address or password is wrong.", field="password")
    forgive(db, tried)
    if person.password_hash and (renewed := renewed_hash(person.password_hash, password)):
        person.password_hash = renewed
    return person


def sign_in(db: Session, person: Person, *, browser: str, address: str) -> str:
    """Sign a person in and return the token for the browser; only its hash is stored."""
    token = new_token()
    db.add(
        SignIn(
            person_id=person.id,
            token_hash=token_hash(token),
            browser=browser[:300],
            address=address,
            expires_at=datetime.now(UTC) + LIFETIME,
        )
    )
    return token


# Asked by every page, so it is put together once.
_SIGNED_IN = (
    select(Person, SignIn)
    .join(SignIn, SignIn.person_id == Person.id)
    .where(
        SignIn.token_hash == bindparam("token_hash"),
        SignIn.ended_at.is_(None),
        SignIn.expires_at > bindparam("now"),
        SignIn.seen_at > bindparam("seen_since"),
        Person.disabled_at.is_(None),
    )
)


def find_signed_in(db: Session, token: str) -> tuple[Person, SignIn] | None:
    """Who holds this browser token, if the sign-in still stands."""
    now = datetime.now(UTC)
    values = {"token_hash": token_hash(token), "now": now, "seen_since": now - IDLE}
    row = db.execute(_SIGNED_IN, values).one_or_none()
    if row is None:
        return None
    person, held = row
    note_sign_in(db, held)
    return person, held


def find_sign_ins(
    db: Session, person: Person, *, before: int | None = None, limit: int = 100
) -> Sequence[SignIn]:
    """The browsers in which this person is signed in, the last sign-in first, a page at a time."""
    standing = select(SignIn).where(
        SignIn.person_id == person.id,
        SignIn.ended_at.is_(None),
        SignIn.expires_at > datetime.now(UTC),
    )
    if before is not None:
        standing = standing.where(SignIn.id < before)
    return db.scalars(standing.order_by(SignIn.id.desc()).limit(limit)).all()


def sign_out(db: Session, person: Person, sign_in_id: int) -> None:
    """End one sign-in of this person. Raises NotFound for anyone else's."""
    held = db.scalar(select(SignIn).where(SignIn.id == sign_in_id, SignIn.person_id == person.id))
    if held is None:
        raise NotFound("There is no such session.")
    held.ended_at = held.ended_at or datetime.now(UTC)


def set_profile(db: Session, person: Person, *, name: str, email: str) -> None:
    """Change a person's name and e-mail address. Raises Invalid where the address is taken."""
    email = tidy_email(email)
    taken = db.scalar(select(Person.id).where(Person.email == email, Person.id != person.id))
    if taken is not None:
        raise Invalid("Another account has this e-mail address.", field="email")
    person.name, person.email = tidy_person_name(name), email


def set_password(
    db: Session, person: Person, password: str, *, old: str | None, keep: SignIn | None
) -> None:
    """Set a new password and end all other sign-ins. The old one is asked for where there is one."""
    if person.password_hash is not None:
        # Who finds a browser open may not try all passwords there either.
        tried = begin_try(person.email, address=f"account {person.id}", field="old")
        if not is_password(person.password_hash, old or ""):
            raise Invalid("The present password is wrong.", field="old")
        forgive(db, tried)
    replace_password(db, person, password, keep=keep)


def replace_password(
    db: Session, person: Person, password: str, *, keep: SignIn | None = None
) -> None:
    """Set a new password without asking for the old one, and end all sign-ins but `keep`."""
    person.password_hash = hash_password(password)
    ended = update(SignIn).where(SignIn.person_id == person.id, SignIn.ended_at.is_(None))
    if keep is not None:
        ended = ended.where(SignIn.id != keep.id)
    db.execute(ended.values(ended_at=datetime.now(UTC)))

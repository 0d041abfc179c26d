"""Bearer tokens for `/api/v1`."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session

from app.accounts.models import ApiToken, Person
from app.accounts.presence import note_token
from app.accounts.signing_in import new_token, token_hash
from app.errors import Invalid, NotFound
from method.saved_texts import one_line

MARK = "mrl_"
MOST = 50


def create_token(db: Session, person: Person, name: str) -> tuple[ApiToken, str]:
    """A new token and its text, which is shown once and not stored."""
    name = one_line(name)
    if not 1 <= len(name) <= 80:
        raise Invalid("Say in up to 80 characters what the token is for.", field="name")
    if len(find_tokens(db, person)) >= MOST:
        raise Invalid(f"You have {MOST} tokens; revoke one first.", field="name")
    text = MARK + new_token()
    token = ApiToken(
        person_id=person.id, name=name, prefix=text[: len(MARK) + 6], token_hash=token_hash(text)
    )
    db.add(token)
    db.flush()
    return token, text


def find_tokens(db: Session, person: Person) -> Sequence[ApiToken]:
    """A person's tokens that still work, newest first."""
    return db.scalars(
        select(ApiToken)
        .where(ApiToken.person_id == person.id, ApiToken.revoked_at.is_(None))
        .order_by(ApiToken.id.desc())
    ).all()


def revoke_token(db: Session, person: Person, token_id: int) -> None:
    """Make a token useless from now on. Raises NotFound for anyone else's."""
    token = db.scalar(
        select(ApiToken).where(ApiToken.id == token_id, ApiToken.person_id == person.id)
    )
    if token is None:
        raise NotFound("There is no such token.")
    token.revoked_at = token.revoked_at or datetime.now(UTC)


# Asked by every request of a program, so it is put together once.
_BEARER = (
    select(ApiToken, Person)
    .join(Person, Person.id == ApiToken.person_id)
    .where(
        ApiToken.token_hash == bindparam("token_hash"),
        ApiToken.revoked_at.is_(None),
        Person.disabled_at.is_(None),
    )
)


def find_bearer(db: Session, text: str) -> Person | None:
    """Who holds this bearer token."""
    row = db.execute(_BEARER, {"token_hash": token_hash(text)}).one_or_none()
    if row is None:
        return None
    token, person = row
    note_token(db, token)
    return person

"""Links that may be used once: making, finding, using up and revoking them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.accounts.models import OneTimeLink, Person
from app.accounts.signing_in import new_token, token_hash
from app.errors import NotFound


def make_link(
    db: Session, kind: str, lifetime: timedelta, *, by: Person | None = None, **about: Any
) -> tuple[OneTimeLink, str]:
    """A link and the token in it, which is shown once; `about` are columns of what it opens."""
    token = new_token()
    link = OneTimeLink(
        kind=kind,
        token_hash=token_hash(token),
        created_by=by.id if by else None,
        expires_at=datetime.now(UTC) + lifetime,
        **about,
    )
    db.add(link)
    db.flush()
    return link, token


def get_link(db: Session, token: str, kind: str, *, lock: bool = False) -> OneTimeLink:
    """The link of this token, if it can still be used. Raises NotFound with the same words else."""
    query = select(OneTimeLink).where(
        OneTimeLink.token_hash == token_hash(token), OneTimeLink.kind == kind
    )
    link = db.scalar(query.with_for_update() if lock else query)
    stands = (
        link is not None
        and link.used_at is None
        and link.revoked_at is None
        and link.expires_at > datetime.now(UTC)
    )
    if link is None or not stands:
        raise link_is_dead()
    return link


def link_is_dead() -> NotFound:
    """What is said of a link that opens nothing, whatever the reason."""
    return NotFound(
        "This link has been used, revoked, or is too old.",
        hint="Ask for a new one: a lead of your project or the operator makes it. Who runs this "
        "installation finds a new sign-in link in the output of morelli up at each start.",
    )


def use_up(link: OneTimeLink, person: Person) -> None:
    """The link opens nothing any more."""
    link.used_at, link.used_by = datetime.now(UTC), person.id


def revoke(link: OneTimeLink) -> None:
    """Make a link useless before it is used."""
    link.revoked_at = link.revoked_at or datetime.now(UTC)


def revoke_account_links(db: Session, person: Person) -> None:
    """Make every unused link useless that sets this person's password."""
    db.execute(
        update(OneTimeLink)
        .where(
            OneTimeLink.person_id == person.id,
            OneTimeLink.used_at.is_(None),
            OneTimeLink.revoked_at.is_(None),
        )
        .values(revoked_at=datetime.now(UTC))
    )

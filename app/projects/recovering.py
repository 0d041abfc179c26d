"""Letting people in who forgot their password: a link that sets a new one, once.

A link gives its holder the whole account, so nobody may make one for an account that may do more than
they may themselves; and that is asked again when it is used, because roles change.
"""

from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from app.accounts.links import get_link, link_is_dead, make_link, revoke_account_links, use_up
from app.accounts.models import OneTimeLink, Person
from app.accounts.signing_in import find_by_email, replace_password
from app.errors import NotAllowed, NotFound
from app.projects.models import Membership

ACCOUNT_LIFETIME = timedelta(days=1)


def create_account_link(
    db: Session, person: Person, *, by: Person | None
) -> tuple[OneTimeLink, str]:
    """A link for this person and the token in it, which is shown once. Earlier ones end.

    `by` is None on the command line, where the operator of the machine stands. Raises NotAllowed where
    the account may do more than who asks.
    """
    if by is not None:
        _refuse_greater(db, person, by)
    if person.disabled_at is not None:
        raise NotAllowed("This account is disabled, so nobody can sign in with it.")
    revoke_account_links(db, person)
    return make_link(db, "account", ACCOUNT_LIFETIME, by=by, person_id=person.id)


def find_account(db: Session, token: str, *, lock: bool = False) -> tuple[OneTimeLink, Person]:
    """A link that can still be used and whose account it opens. Raises NotFound else, in one wording."""
    link = get_link(db, token, "account", lock=lock)
    person = db.get_one(Person, link.person_id)
    maker = db.get(Person, link.created_by) if link.created_by is not None else None
    if person.disabled_at is not None or (maker is not None and maker.disabled_at is not None):
        raise link_is_dead()
    if maker is not None:
        try:
            _refuse_greater(db, person, maker)
        except NotAllowed as error:
            raise link_is_dead() from error
    return link, person


def take_account_link(db: Session, token: str, password: str) -> Person:
    """Use a link: set the password and end every session. Raises NotFound, or Invalid for the password."""
    link, person = find_account(db, token, lock=True)
    replace_password(db, person, password)
    use_up(link, person)
    return person


def find_person(db: Session, email: str) -> Person:
    """The account with this e-mail address. Raises NotFound."""
    person = find_by_email(db, email)
    if person is None:
        raise NotFound("There is no account with this e-mail address.")
    return person


def may_recover(db: Session, person: Person, by: Person) -> bool:
    """Whether `by` may make a link for this person."""
    try:
        _refuse_greater(db, person, by)
    except NotAllowed:
        return False
    return True


def _refuse_greater(db: Session, person: Person, by: Person) -> None:
    if by.is_operator or person.id == by.id:
        return
    hint = "The operator of this installation can make the link: morelli account link EMAIL."
    if person.is_operator:
        raise NotAllowed("This account is an operator's; leads cannot open it.", hint=hint)
    own = aliased(Membership)
    elsewhere = db.scalar(
        select(Membership.project_id)
        .outerjoin(
            own,
            (own.project_id == Membership.project_id)
            & (own.person_id == by.id)
            & (own.role == "lead"),
        )
        .where(Membership.person_id == person.id, own.person_id.is_(None))
        .limit(1)
    )
    if elsewhere is not None:
        raise NotAllowed(
            "This person is also in a project that you do not lead, which the link would open too.",
            hint=hint,
        )

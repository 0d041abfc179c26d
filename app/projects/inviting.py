"""Links that may be used once: the first lead's, and invitations to a project.

They stand in this room, above accounts, because taking one gives a role in a project.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.links import get_link, make_link, revoke, use_up
from app.accounts.models import OneTimeLink, Person
from app.accounts.passwords import hash_password
from app.accounts.signing_in import add_person, find_by_email, tidy_email, tidy_person_name
from app.errors import Invalid, NotFound
from app.projects.founding import set_role
from app.projects.models import ROLES, Membership, Project
from method.saved_texts import one_line

MAX_NOTE = 200
INVITATION_LIFETIME = timedelta(days=14)
FIRST_LEAD_LIFETIME = timedelta(days=1)


def create_first_lead_link(db: Session) -> str:
    """A token that signs the first lead in once, for the person who started the installation."""
    return make_link(db, "first_lead", FIRST_LEAD_LIFETIME)[1]


def create_invitation(
    db: Session, project: Project, *, role: str, note: str, by: Person | None
) -> tuple[OneTimeLink, str]:
    """An invitation to a project and the token for its link, which is shown once."""
    if role not in ROLES:
        raise Invalid(f"A role is one of {', '.join(ROLES)}.", field="role")
    note = one_line(note)
    if len(note) > MAX_NOTE:
        raise Invalid(
            f"A note has up to {MAX_NOTE} characters; this has {len(note)}.", field="note"
        )
    about = {"project_id": project.id, "role": role, "note": note}
    return make_link(db, "invitation", INVITATION_LIFETIME, by=by, **about)


def find_invitations(
    db: Session, project: Project, *, before: int | None = None, limit: int = 100
) -> Sequence[OneTimeLink]:
    """Invitations that can still be taken, newest first, a page at a time."""
    standing = select(OneTimeLink).where(
        OneTimeLink.project_id == project.id,
        OneTimeLink.used_at.is_(None),
        OneTimeLink.revoked_at.is_(None),
        OneTimeLink.expires_at > datetime.now(UTC),
    )
    if before is not None:
        standing = standing.where(OneTimeLink.id < before)
    return db.scalars(standing.order_by(OneTimeLink.id.desc()).limit(limit)).all()


def revoke_invitation(db: Session, project: Project, link_id: int) -> None:
    """Make an invitation useless. Raises NotFound for another project's."""
    link = db.scalar(
        select(OneTimeLink).where(OneTimeLink.id == link_id, OneTimeLink.project_id == project.id)
    )
    if link is None:
        raise NotFound("There is no such invitation.")
    revoke(link)


def take_first_lead_link(db: Session, token: str) -> Person:
    """Use the first lead's link: the first operator, made now where there is none yet."""
    link = get_link(db, token, "first_lead", lock=True)
    person = db.scalar(
        select(Person)
        .where(Person.is_operator, Person.disabled_at.is_(None))
        .order_by(Person.id)
        .limit(1)
    )
    if person is None:
        person = add_person(db, email="lead@morelli.localhost", name="First lead", is_operator=True)
        for project in db.scalars(select(Project)):
            set_role(db, project, person, "lead")
    use_up(link, person)
    return person


def take_invitation(
    db: Session,
    token: str,
    *,
    person: Person | None,
    email: str = "",
    name: str = "",
    password: str = "",
) -> tuple[Person, Project]:
    """Use an invitation: the signed-in person joins, or a new account is made and joins.

    A role a person already has is never lowered. Raises Invalid where the new account cannot be.
    """
    link = get_link(db, token, "invitation", lock=True)
    if person is None:
        email = tidy_email(email)
        if find_by_email(db, email) is not None:
            raise Invalid(
                "There is an account with this e-mail address.",
                field="email",
                hint="Sign in with it first, then open this link again. If you forgot the password, ask a "
                "lead of your project for a link that sets a new one.",
            )
        person = add_person(
            db, email=email, name=tidy_person_name(name), password_hash=hash_password(password)
        )
    project = db.get_one(Project, link.project_id)
    role = link.role or ROLES[0]
    held = db.scalar(
        select(Membership.role).where(
            Membership.project_id == project.id, Membership.person_id == person.id
        )
    )
    if held is None or ROLES.index(held) < ROLES.index(role):
        set_role(db, project, person, role)
    use_up(link, person)
    return person, project


def count_people(db: Session) -> int:
    return db.scalar(select(func.count()).select_from(Person)) or 0

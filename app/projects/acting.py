"""Whoever a command acts for: it knows no browser and no token, only the installation."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.accounts.signing_in import tidy_email
from app.errors import WrongUse
from app.projects.models import Membership, Project


def get_actor(db: Session, project: Project, email: str) -> Person:
    """The member with this address; without one the project's only lead. Raises WrongUse where that is nobody."""
    leads = db.scalars(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(
            Membership.project_id == project.id,
            Person.email == tidy_email(email) if email else Membership.role == "lead",
        )
        .limit(2)
    ).all()
    if len(leads) != 1:
        raise WrongUse(
            f"Nobody with the address {email} is in this project."
            if email
            else "The project has not exactly one lead, so it has to be said for whom.",
            hint="Name a member with --by EMAIL.",
        )
    return leads[0]

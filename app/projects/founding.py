"""Making a project, and who is in it."""

import re
from collections.abc import Sequence

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Conflict, Invalid, NotFound
from app.projects.models import ROLES, Membership, Project
from method.saved_texts import one_line, several_lines
from taxonomy import names


def create_project(db: Session, *, slug: str, name: str, description: str = "") -> Project:
    """A new, empty project. Raises Invalid or Conflict where slug or name cannot be."""
    name = one_line(name)
    if not 1 <= len(name) <= 120:
        raise Invalid("Please give a name of up to 120 characters.", field="name")
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,62}", slug):
        raise Invalid("Use lower-case letters, digits and hyphens.", field="slug")
    if db.scalar(select(Project.id).where(Project.slug == slug)) is not None:
        raise Conflict("Another project has this address.", field="slug")
    project = Project(slug=slug, name=name, description=several_lines(description))
    db.add(project)
    db.flush()
    return project


def set_default_agent(db: Session, project: Project, agent: str) -> None:
    """Say which agent labels where nobody names one; who asks has made sure that there is one of this name."""
    project.default_agent = agent
    db.flush()


def slug_for(name: str) -> str:
    """The address that a project of this name gets where nobody chooses one."""
    return names.slug(name)[:63].strip("-")


def get_project(db: Session, slug: str) -> Project:
    """The project with this address. Raises NotFound."""
    project = db.scalar(select(Project).where(Project.slug == slug))
    if project is None:
        raise NotFound(f"There is no project “{slug}”.", hint="Check its address.")
    return project


def find_projects(
    db: Session, person: Person, *, after: str = "", limit: int = 200
) -> Sequence[tuple[Project, str]]:
    """The projects a person may see, with the role in each, by address from behind `after`."""
    page = select(Project).where(Project.slug > after).order_by(Project.slug).limit(limit)
    if person.is_operator:
        return [(project, "lead") for project in db.scalars(page)]
    rows = db.execute(
        page.add_columns(Membership.role)
        .join(Membership, Membership.project_id == Project.id)
        .where(Membership.person_id == person.id)
    )
    return [(project, role) for project, role in rows]


def set_role(db: Session, project: Project, person: Person, role: str) -> None:
    if role not in ROLES:
        raise Invalid(f"A role is one of {', '.join(ROLES)}.", field="role")
    if role != "lead":
        _keep_a_lead(db, project, person)
    statement = insert(Membership).values(project_id=project.id, person_id=person.id, role=role)
    db.execute(
        statement.on_conflict_do_update(
            index_elements=["project_id", "person_id"], set_={"role": role}
        )
    )


def remove_member(db: Session, project: Project, person: Person) -> None:
    """Take a person out of a project; what they did stays."""
    _keep_a_lead(db, project, person)
    db.execute(
        delete(Membership).where(
            Membership.project_id == project.id, Membership.person_id == person.id
        )
    )


def _keep_a_lead(db: Session, project: Project, person: Person) -> None:
    # The lock makes two leads who demote each other at the same moment wait for one another.
    db.execute(select(Project.id).where(Project.id == project.id).with_for_update())
    others = db.scalar(
        select(func.count())
        .select_from(Membership)
        .where(
            Membership.project_id == project.id,
            Membership.role == "lead",
            Membership.person_id != person.id,
        )
    )
    is_lead = db.scalar(
        select(Membership.role).where(
            Membership.project_id == project.id, Membership.person_id == person.id
        )
    )
    if is_lead == "lead" and not others:
        raise Conflict("A project keeps at least one lead.", hint="Make someone else lead first.")


def find_members(
    db: Session, project: Project, *, after: int = 0, limit: int = 100
) -> Sequence[tuple[Person, str]]:
    """People of a project with their roles, by id, a page at a time."""
    rows = db.execute(
        select(Person, Membership.role)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.project_id == project.id, Person.id > after)
        .order_by(Person.id)
        .limit(limit)
    )
    return [(person, role) for person, role in rows]


def get_member(db: Session, project: Project, person_id: int) -> Person:
    """A member of a project. Raises NotFound."""
    person = db.scalar(
        select(Person)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.project_id == project.id, Person.id == person_id)
    )
    if person is None:
        raise NotFound("This person is not in the project.")
    return person

"""Loads a project and checks the right to it in one call."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import BindParameter, Select, bindparam, func, select

from app.accounts.access import CurrentPerson
from app.errors import NotAllowed, NotFound
from app.notes.models import Mention
from app.projects.models import ROLES, Membership, Project
from app.web.answer import keep_for_errors
from app.web.dependencies import Db

WHO = {"annotator": "members", "expert": "experts and leads", "lead": "leads"}


def may(role: str | None, needed: str) -> bool:
    """Whether someone with `role` may do what takes `needed`."""
    return role is not None and ROLES.index(role) >= ROLES.index(needed)


def _project() -> Select[Project, str | None, int]:
    """A project by its address with a person's role in it. What they have not read is asked with
    it, as every page tells of it.
    """
    person: BindParameter[int] = bindparam("person_id")
    unread = select(func.count()).where(
        Mention.person_id == person, Mention.project_id == Project.id, Mention.read_at.is_(None)
    )
    return (
        select(Project, Membership.role, unread.correlate(Project).scalar_subquery())
        .outerjoin(
            Membership, (Membership.project_id == Project.id) & (Membership.person_id == person)
        )
        .where(Project.slug == bindparam("slug"))
    )


# Asked by every request to a project, so it is put together once.
_PROJECT = _project()


def project_for(needed: str) -> Callable[..., Project]:
    """Policy: members of the project in the path with at least the role `needed`.

    To others the project does not exist (404); a member with a lesser role is told so (403).
    """

    def load(request: Request, project: str, db: Db, person: CurrentPerson) -> Project:
        found = db.execute(_PROJECT, {"slug": project, "person_id": person.id}).one_or_none()
        role = "lead" if found and person.is_operator else found[1] if found else None
        if found is None or role is None:
            raise NotFound("There is no such project, or you are not in it.")
        # Known before the refusal: its page keeps the way back into the project.
        request.state.project, request.state.role = found[0], role
        request.state.num_unread = found[2]
        keep_for_errors(request, project=found[0])
        if not may(role, needed):
            raise NotAllowed(
                f"Only {WHO[needed]} of this project may do this; your role in it is {role}.",
                hint="A lead of the project can give you another role, or do it for you.",
            )
        loaded: Project = found[0]
        return loaded

    load.__name__ = f"project_for_{needed}"
    POLICIES.add(load)
    return load


POLICIES: set[Callable[..., object]] = set()

AnnotatorProject = Annotated[Project, Depends(project_for("annotator"))]
ExpertProject = Annotated[Project, Depends(project_for("expert"))]
LeadProject = Annotated[Project, Depends(project_for("lead"))]

"""Projects and their people as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.accounts.models import OneTimeLink
from app.errors import NotAllowed
from app.projects import founding, inviting, recovering
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.schemas import (
    InvitationIn,
    InvitationOut,
    InvitationsOut,
    MemberOut,
    MembersOut,
    PasswordLinkOut,
    ProjectIn,
    ProjectOut,
    ProjectsOut,
    RoleIn,
)
from app.settings import settings
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1", tags=["projects"])


@router.get("/projects")
def api_list_projects(
    db: Db,
    person: CurrentPerson,
    after: Annotated[str, Query(max_length=63)] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> ProjectsOut:
    """The projects you are in, by address."""
    found = founding.find_projects(db, person, after=after, limit=limit + 1)
    items = [
        ProjectOut.model_validate(
            {
                "slug": project.slug,
                "name": project.name,
                "description": project.description,
                "role": role,
            }
        )
        for project, role in found[:limit]
    ]
    return ProjectsOut(items=items, next=items[-1].slug if len(found) > limit else None)


@router.post("/projects", status_code=201)
def api_create_project(body: ProjectIn, db: Db, person: CurrentPerson) -> ProjectOut:
    """Make a project (operator only); you lead it."""
    if not person.is_operator:
        raise NotAllowed("Only the operator of this installation makes projects.")
    project = founding.create_project(
        db, slug=body.slug, name=body.name, description=body.description
    )
    founding.set_role(db, project, person, "lead")
    return ProjectOut(
        slug=project.slug, name=project.name, description=project.description, role="lead"
    )


@router.get("/projects/{project}")
def api_get_project(request: Request, project: AnnotatorProject) -> ProjectOut:
    """One project."""
    return ProjectOut(
        slug=project.slug,
        name=project.name,
        description=project.description,
        role=request.state.role,
    )


@router.get("/projects/{project}/people")
def api_list_members(
    db: Db,
    project: AnnotatorProject,
    after: int = 0,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> MembersOut:
    """The people of a project, by id."""
    found = founding.find_members(db, project, after=after, limit=limit + 1)
    items = [
        MemberOut.model_validate(
            {"id": person.id, "name": person.name, "email": person.email, "role": role}
        )
        for person, role in found[:limit]
    ]
    return MembersOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.put("/projects/{project}/people/{person_id}", status_code=204)
def api_set_role(person_id: int, body: RoleIn, db: Db, project: LeadProject) -> Response:
    """Change a member's role."""
    founding.set_role(db, project, founding.get_member(db, project, person_id), body.role)
    return Response(status_code=204)


@router.delete("/projects/{project}/people/{person_id}", status_code=204)
def api_remove_member(person_id: int, db: Db, project: LeadProject) -> Response:
    """Take a member out of the project; what they did stays."""
    founding.remove_member(db, project, founding.get_member(db, project, person_id))
    return Response(status_code=204)


@router.post("/projects/{project}/people/{person_id}/password-link", status_code=201)
def api_create_password_link(
    request: Request, person_id: int, db: Db, project: LeadProject, person: CurrentPerson
) -> PasswordLinkOut:
    """A link with which a member who forgot the password sets a new one; it is in this answer only.

    It works once, within a day. 403 where the member is an operator or in a project that you do not lead.
    """
    member = founding.get_member(db, project, person_id)
    link, token = recovering.create_account_link(db, member, by=person)
    path = request.app.url_path_for("show_recovery", token=token)
    return PasswordLinkOut(
        person_id=member.id, link=settings().public_address + str(path), expires_at=link.expires_at
    )


def _invitation(link: OneTimeLink, address: str | None = None) -> InvitationOut:
    return InvitationOut.model_validate(
        {
            "id": link.id,
            "role": link.role,
            "note": link.note,
            "expires_at": link.expires_at,
            "link": address,
        }
    )


@router.get("/projects/{project}/invitations")
def api_list_invitations(
    db: Db,
    project: LeadProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> InvitationsOut:
    """Invitations that can still be taken, newest first."""
    found = inviting.find_invitations(db, project, before=before, limit=limit + 1)
    items = [_invitation(each) for each in found[:limit]]
    return InvitationsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("/projects/{project}/invitations", status_code=201)
def api_create_invitation(
    request: Request, body: InvitationIn, db: Db, project: LeadProject, person: CurrentPerson
) -> InvitationOut:
    """Invite someone by a link, which is in this answer and nowhere else."""
    link, token = inviting.create_invitation(db, project, role=body.role, note=body.note, by=person)
    path = request.app.url_path_for("show_invitation", token=token)
    return _invitation(link, settings().public_address + str(path))


@router.delete("/projects/{project}/invitations/{link_id}", status_code=204)
def api_revoke_invitation(link_id: int, db: Db, project: LeadProject) -> Response:
    """Make an invitation useless."""
    inviting.revoke_invitation(db, project, link_id)
    return Response(status_code=204)

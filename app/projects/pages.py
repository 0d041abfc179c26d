"""Projects, the people in them, and the links that let people in."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import RedirectResponse, Response

from app.accounts import signing_in
from app.accounts.access import CurrentPerson, Public, Visitor, set_cookie
from app.accounts.links import get_link
from app.accounts.models import Person
from app.errors import AppError, Invalid, NotAllowed
from app.projects import founding, inviting, recovering
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.forms import InvitationForm, JoinForm, ProjectForm, RecoveryForm, RoleForm
from app.projects.models import ROLES, Project
from app.settings import settings
from app.web.answer import Answer, Answering
from app.web.dependencies import Db, client_address
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False)
PAGE = 100


@router.get("/")
def show_projects(
    db: Db,
    answer: Answering,
    person: CurrentPerson,
    after: Annotated[str, Query(max_length=63)] = "",
) -> Response:
    """The projects a person is in; with only one, straight to it."""
    found = founding.find_projects(db, person, after=after, limit=PAGE + 1)
    if len(found) == 1 and not after and not person.is_operator:
        return RedirectResponse(answer.path("show_dashboard", project=found[0][0].slug), 303)
    return _list(answer, found, Form())


def _list(
    answer: Answer,
    found: Sequence[tuple[Project, str]],
    form: Form[ProjectForm],
    status: int = 200,
) -> Response:
    return answer.show(
        "projects/list.html",
        status=status,
        projects=found[:PAGE],
        next=found[PAGE - 1][0].slug if len(found) > PAGE else None,
        form=form,
    )


@router.post("/projects")
def submit_project(
    db: Db,
    answer: Answering,
    person: CurrentPerson,
    form: Annotated[Form[ProjectForm], Depends(submitted(ProjectForm))],
) -> Response:
    """Make a project (operator only); its maker leads it."""
    if not person.is_operator:
        raise NotAllowed("Only the operator of this installation makes projects.")
    if not form.errors:
        with form.attempt():
            values = form.values
            made = founding.create_project(
                db,
                slug=values.slug or founding.slug_for(values.name),
                name=values.name,
                description=values.description,
            )
            founding.set_role(db, made, person, "lead")
            return RedirectResponse(answer.path("show_dashboard", project=made.slug), 303)
    return _list(answer, founding.find_projects(db, person, limit=PAGE + 1), form, 422)


def _people(
    db: Db,
    answer: Answering,
    project: Project,
    *,
    status: int = 200,
    form: Form[InvitationForm] | None = None,
    link: str | None = None,
    password_link: str | None = None,
    password_for: Person | None = None,
    after: int = 0,
    invited_before: int | None = None,
    problem: AppError | None = None,
) -> Response:
    invited = inviting.find_invitations(db, project, before=invited_before, limit=PAGE + 1)
    members = founding.find_members(db, project, after=after, limit=PAGE + 1)
    return answer.show(
        "projects/people.html",
        status=status,
        members=members[:PAGE],
        next=members[PAGE - 1][0].id if len(members) > PAGE else None,
        invitations=invited[:PAGE],
        older_invitations=invited[PAGE - 1].id if len(invited) > PAGE else None,
        roles=ROLES,
        form=form or Form(),
        link=link,
        password_link=password_link,
        password_for=password_for,
        problem=problem,
    )


@router.get("/projects/{project}/people")
def show_people(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    after: int = 0,
    invited_before: int | None = None,
) -> Response:
    return _people(db, answer, project, after=after, invited_before=invited_before)


@router.post("/projects/{project}/people/invitations")
def submit_invitation(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[InvitationForm], Depends(submitted(InvitationForm))],
) -> Response:
    """Make an invitation; the page shows its link once."""
    link = None
    if not form.errors:
        with form.attempt():
            values = form.values
            _, token = inviting.create_invitation(
                db, project, role=values.role, note=values.note, by=person
            )
            link = settings().public_address + answer.path("show_invitation", token=token)
    if form.errors:
        return _people(db, answer, project, status=422, form=form)
    return _people(db, answer, project, link=link)


@router.post("/projects/{project}/people/invitations/{link_id}/revoke")
def revoke_invitation(link_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    inviting.revoke_invitation(db, project, link_id)
    return RedirectResponse(answer.path("show_people", project=project.slug), 303)


@router.post("/projects/{project}/people/{person_id}/role")
def submit_role(
    person_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    form: Annotated[Form[RoleForm], Depends(submitted(RoleForm))],
) -> Response:
    """Change a member's role."""
    if form.errors:
        problem = Invalid("Nothing was changed: please choose a role.", field="role")
        return _people(db, answer, project, status=422, problem=problem)
    member = founding.get_member(db, project, person_id)
    try:
        founding.set_role(db, project, member, form.values.role)
    except AppError as error:
        return _people(db, answer, project, status=422, problem=error)
    return RedirectResponse(answer.path("show_people", project=project.slug), 303)


@router.post("/projects/{project}/people/{person_id}/password-link")
def submit_password_link(
    person_id: int, db: Db, answer: Answering, project: LeadProject, person: CurrentPerson
) -> Response:
    """Make a link with which a member sets a new password; the page shows it once."""
    member = founding.get_member(db, project, person_id)
    try:
        _, token = recovering.create_account_link(db, member, by=person)
    except NotAllowed as error:
        return _people(db, answer, project, status=403, problem=error)
    link = settings().public_address + answer.path("show_recovery", token=token)
    return _people(db, answer, project, password_link=link, password_for=member)


@router.post("/projects/{project}/people/{person_id}/remove")
def submit_removal(person_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    member = founding.get_member(db, project, person_id)
    try:
        founding.remove_member(db, project, member)
    except AppError as error:
        return _people(db, answer, project, status=422, problem=error)
    return RedirectResponse(answer.path("show_people", project=project.slug), 303)


def _sign_in(request: Request, db: Db, person: Person, go_to: str) -> Response:
    token = signing_in.sign_in(
        db,
        person,
        browser=request.headers.get("user-agent", ""),
        address=client_address(request),
    )
    response = RedirectResponse(go_to, 303)
    set_cookie(response, token)
    return response


@router.get("/welcome/{token}", dependencies=[Public])
def show_welcome(token: str, db: Db, answer: Answering) -> Response:
    """The link that `morelli up` prints. Opening it uses nothing up: mail scanners, previews and browsers
    that load addresses ahead open links, too.
    """
    get_link(db, token, "first_lead")
    return answer.show("projects/welcome.html", token=token)


@router.post("/welcome/{token}", dependencies=[Public])
def take_first_lead_link(request: Request, token: str, db: Db, answer: Answering) -> Response:
    """Sign the first lead in, once."""
    person = inviting.take_first_lead_link(db, token)
    projects = founding.find_projects(db, person)
    here = answer.path("show_dashboard", project=projects[0][0].slug) if projects else "/"
    return _sign_in(request, db, person, here)


@router.get("/new-password/{token}", dependencies=[Public])
def show_recovery(token: str, db: Db, answer: Answering) -> Response:
    """Whose password the link sets, and a form for it."""
    _, owner = recovering.find_account(db, token)
    return answer.show("projects/recovery.html", owner=owner, token=token, form=Form())


@router.post("/new-password/{token}", dependencies=[Public])
def submit_recovery(
    request: Request,
    token: str,
    db: Db,
    answer: Answering,
    form: Annotated[Form[RecoveryForm], Depends(submitted(RecoveryForm))],
) -> Response:
    """Set the password, end other sessions, and sign in."""
    if not form.errors:
        with form.attempt():
            owner = recovering.take_account_link(db, token, form.values.password)
            return _sign_in(request, db, owner, "/")
    _, owner = recovering.find_account(db, token)
    return answer.show("projects/recovery.html", status=422, owner=owner, token=token, form=form)


@router.get("/invitations/{token}")
def show_invitation(token: str, db: Db, answer: Answering, visitor: Visitor) -> Response:
    """What one is invited to, and how to join."""
    link = get_link(db, token, "invitation")
    return answer.show(
        "projects/invitation.html",
        link=link,
        invited_to=db.get_one(Project, link.project_id),
        token=token,
        visitor=visitor,
        form=Form(),
    )


@router.post("/invitations/{token}")
def submit_invitation_answer(
    request: Request,
    token: str,
    db: Db,
    answer: Answering,
    visitor: Visitor,
    form: Annotated[Form[JoinForm], Depends(submitted(JoinForm))],
) -> Response:
    """Join: the signed-in person as they are, anyone else with a new account."""
    if visitor is not None:
        _, joined = inviting.take_invitation(db, token, person=visitor)
        return RedirectResponse(answer.path("show_dashboard", project=joined.slug), 303)
    if not form.errors:
        with form.attempt():
            values = form.values
            person, joined = inviting.take_invitation(
                db,
                token,
                person=None,
                email=values.email,
                name=values.name,
                password=values.password,
            )
            go_to = answer.path("show_dashboard", project=joined.slug)
            return _sign_in(request, db, person, go_to)
    link = get_link(db, token, "invitation")
    return answer.show(
        "projects/invitation.html",
        status=422,
        link=link,
        invited_to=db.get_one(Project, link.project_id),
        token=token,
        visitor=visitor,
        form=form,
    )

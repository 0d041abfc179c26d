"""JSON shapes of projects."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["annotator", "expert", "lead"]


class ProjectOut(BaseModel):
    """A project and the asker's role in it."""

    slug: str
    name: str
    description: str
    role: Role


class ProjectsOut(BaseModel):
    """The projects one is in, by address; `next` continues them as `after`."""

    items: list[ProjectOut]
    next: str | None


class ProjectIn(BaseModel):
    """A new project."""

    model_config = ConfigDict(extra="forbid")

    slug: str
    name: str
    description: str = ""


class MemberOut(BaseModel):
    """A person in a project."""

    id: int
    name: str
    email: str
    role: Role


class MembersOut(BaseModel):
    """A page of members; `next` continues it."""

    items: list[MemberOut]
    next: int | None


class InvitationIn(BaseModel):
    """Whom to invite as what."""

    model_config = ConfigDict(extra="forbid")

    role: Role
    note: str = Field(default="", max_length=200)


class InvitationOut(BaseModel):
    """An invitation that can still be taken; `link` only in the answer that made it."""

    id: int
    role: Role
    note: str
    expires_at: datetime
    link: str | None = None


class InvitationsOut(BaseModel):
    """Open invitations; `next` is the `before` of the following page, None on the last one."""

    items: list[InvitationOut]
    next: int | None


class RoleIn(BaseModel):
    """A member's new role."""

    model_config = ConfigDict(extra="forbid")

    role: Role


class PasswordLinkOut(BaseModel):
    """A link with which a person sets a new password, once."""

    person_id: int
    link: str
    expires_at: datetime

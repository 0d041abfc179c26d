"""Forms of projects."""

from pydantic import Field

from app.web.forms import Fields


class ProjectForm(Fields):
    """A new project; without an address it gets one from its name."""

    name: str = Field(min_length=1, max_length=120)
    slug: str = Field(default="", max_length=63)
    description: str = Field(default="", max_length=2000)


class InvitationForm(Fields):
    """Whom to invite as what."""

    role: str = Field(min_length=1)
    note: str = Field(default="", max_length=200)


class JoinForm(Fields):
    """A new account made through an invitation."""

    name: str = Field(min_length=1, max_length=120)
    email: str = Field(min_length=1, max_length=254)
    password: str = Field(min_length=1, max_length=256)


class RoleForm(Fields):
    """A member's new role."""

    role: str = Field(min_length=1)


class RecoveryForm(Fields):
    """A new password for the account that a link opens."""

    password: str = Field(min_length=1, max_length=256)

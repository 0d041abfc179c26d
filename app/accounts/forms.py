"""Forms of accounts."""

from pydantic import Field, create_model

from app.web.forms import Fields
from app.web.keys import COMMANDS


class SignInForm(Fields):
    """E-mail address and password."""

    email: str = Field(min_length=1, max_length=254)
    password: str = Field(min_length=1, max_length=256)
    next: str = ""


class ProfileForm(Fields):
    """Name and e-mail address."""

    name: str = Field(min_length=1, max_length=120)
    email: str = Field(min_length=1, max_length=254)


class PasswordForm(Fields):
    """A new password, and the present one where there is one."""

    password: str = Field(min_length=1, max_length=256)
    old: str = Field(default="", max_length=256)


class ThemeForm(Fields):
    """Light, dark, or as the system says."""

    theme: str = Field(pattern="^(system|light|dark)$")


KeysForm: type[Fields] = create_model(
    "KeysForm",
    __base__=Fields,
    **{each.name: (str, Field(default="", max_length=40)) for each in COMMANDS},  # type: ignore[call-overload]
)
"""The keys of each command, as they are typed."""


class TokenForm(Fields):
    """What a new token is for."""

    name: str = Field(min_length=1, max_length=80)

"""People, how they sign in, and the tokens of their programs."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model


class Person(Model):
    """Someone who signs in. `keys` holds the commands whose keys they have changed (`app.web.keys`)."""

    __tablename__ = "person"
    __table_args__ = (
        CheckConstraint("email = lower(email) AND position('@' in email) > 1", name="email"),
        CheckConstraint("length(name) BETWEEN 1 AND 120", name="name"),
        CheckConstraint("jsonb_typeof(keys) = 'object'", name="keys"),
    )

    id: Mapped[Key]
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    password_hash: Mapped[str | None]
    is_operator: Mapped[bool] = mapped_column(server_default=text("false"))
    theme: Mapped[str] = mapped_column(server_default="system")
    keys: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[Created]


class SignIn(Model):
    """One signed-in browser. Only the SHA-256 of its token is kept."""

    __tablename__ = "sign_in"

    id: Mapped[Key]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    browser: Mapped[str]
    address: Mapped[str]
    created_at: Mapped[Created]
    seen_at: Mapped[Created]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class OneTimeLink(Model):
    """A link that may be used once: the first lead's sign-in, an invitation to a project, or a new
    password for the account of `person_id`. Opening it uses nothing up; its button does.
    """

    __tablename__ = "one_time_link"
    __table_args__ = (
        CheckConstraint("kind IN ('first_lead', 'invitation', 'account')", name="kind"),
        CheckConstraint("(kind = 'account') = (person_id IS NOT NULL)", name="account"),
        CheckConstraint(
            "(kind = 'invitation') = (project_id IS NOT NULL AND role IS NOT NULL)",
            name="invitation",
        ),
    )

    id: Mapped[Key]
    kind: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"), index=True)
    role: Mapped[str | None]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"), index=True)
    note: Mapped[str] = mapped_column(server_default="")
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    used_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    revoked_at: Mapped[datetime | None]


class ApiToken(Model):
    """A bearer token for `/api/v1`. Only its SHA-256 and its first characters are kept."""

    __tablename__ = "api_token"

    id: Mapped[Key]
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), index=True)
    name: Mapped[str]
    prefix: Mapped[str]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    created_at: Mapped[Created]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SignInFailure(Model):
    """A failed sign-in, kept for throttling by account and by address."""

    __tablename__ = "sign_in_failure"
    __table_args__ = (
        Index(None, "email", "at"),
        Index(None, "address", "at"),
    )

    id: Mapped[Key]
    email: Mapped[str]
    address: Mapped[str]
    at: Mapped[Created]

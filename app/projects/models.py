"""Projects and who works in them."""

from sqlalchemy import CheckConstraint, ForeignKey, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model

ROLES = ("annotator", "expert", "lead")


class Project(Model):
    """One domain with its own criteria, images, people and runs. `default_agent` labels where nobody names one;
    null is that of the installation.
    """

    __tablename__ = "project"
    __table_args__ = (
        CheckConstraint("slug ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug"),
        CheckConstraint("default_agent ~ '^[a-z][a-z0-9_]{0,39}$'", name="default_agent"),
    )

    id: Mapped[Key]
    slug: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    description: Mapped[str] = mapped_column(server_default="")
    options: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    default_agent: Mapped[str | None]
    created_at: Mapped[Created]


class Membership(Model):
    """A person's role in a project. Each role may do what the ones before it may."""

    __tablename__ = "membership"
    __table_args__ = (CheckConstraint("role IN ('annotator', 'expert', 'lead')", name="role"),)

    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("person.id"), primary_key=True, index=True)
    role: Mapped[str]
    created_at: Mapped[Created]

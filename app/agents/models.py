"""Agent runs: one pass of an agent over a set of images."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model


class AgentRun(Model):
    """One pass of an agent over a set of images, under one criteria version."""

    __tablename__ = "agent_run"
    __table_args__ = (
        CheckConstraint("agent IN ('measured', 'vlm')", name="agent"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), unique=True)
    agent: Mapped[str]
    agent_version: Mapped[str]
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    config: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    images: Mapped[int] = mapped_column(server_default=text("0"))
    labels: Mapped[int] = mapped_column(server_default=text("0"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class AgentRunProblem(Model):
    """An image that an agent run could not label, with the reason."""

    __tablename__ = "agent_run_problem"

    agent_run_id: Mapped[int] = mapped_column(ForeignKey("agent_run.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    reason: Mapped[str]

"""Labels as they stand, and every event that made them so."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model


class Label(Model):
    """The statement "this attribute (pair + polarity) applies to this image", as it stands now.

    `source` says who made the statement first and does not change when a person confirms it; an
    agent's label keeps the measure, value and threshold it rests on.
    """

    __tablename__ = "label"
    __table_args__ = (
        UniqueConstraint("image_id", "node_id", "polarity"),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint("state IN ('proposed', 'confirmed', 'rejected')", name="state"),
        CheckConstraint("source IN ('agent', 'person')", name="source"),
        CheckConstraint("(source = 'agent') = (agent_run_id IS NOT NULL)", name="agent_run"),
        CheckConstraint("source = 'agent' OR state <> 'proposed'", name="proposed_by_agent"),
        Index(None, "project_id", "state"),
        Index(None, "node_id", "polarity", "state"),
        Index(None, "agent_run_id", "node_id", "polarity", "state"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str]
    state: Mapped[str]
    source: Mapped[str]
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    measure: Mapped[str | None]
    value: Mapped[float | None]
    threshold: Mapped[float | None]
    confidence: Mapped[float | None]
    revision: Mapped[int]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    decided_at: Mapped[datetime | None]


class LabelEvent(Model):
    """One thing that happened to one label. Append-only; the current state can be rebuilt from it."""

    __tablename__ = "label_event"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(
            "after IS NULL OR after IN ('proposed', 'confirmed', 'rejected')", name="after"
        ),
        Index(None, "image_id", "id"),
        Index(
            "uq_label_event_operation_id",
            "operation_id",
            unique=True,
            postgresql_where=text("operation_id IS NOT NULL"),
        ),
    )

    id: Mapped[Key]
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str]
    kind: Mapped[str]
    before: Mapped[str | None]
    after: Mapped[str | None]
    image_revision: Mapped[int]
    person_id: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    operation_id: Mapped[UUID | None]
    suggestion_visible: Mapped[bool] = mapped_column(server_default=text("true"))
    undoes_id: Mapped[int | None] = mapped_column(ForeignKey("label_event.id"))
    at: Mapped[Created]

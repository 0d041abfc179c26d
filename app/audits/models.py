"""Hallucination audits: a frozen random sample whose labels several participants verify, blind."""

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Key, Model


class Audit(Model):
    """One audit: how its sample was drawn, under which criteria version, of which agent run."""

    __tablename__ = "audit"
    __table_args__ = (
        CheckConstraint("sample_size > 0 AND min_labels > 0", name="sample"),
        CheckConstraint("state IN ('open', 'closed')", name="state"),
        CheckConstraint("decoy_percent BETWEEN 0 AND 50", name="decoy_percent"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    name: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="open")
    seed: Mapped[int] = mapped_column(BigInteger)
    sample_size: Mapped[int]
    min_labels: Mapped[int]
    decoy_percent: Mapped[int] = mapped_column(server_default=text("0"))
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]
    closed_at: Mapped[datetime | None]


class AuditItem(Model):
    """One question about one image of the sample, frozen when the audit was made: a label, or a decoy, which
    the agent did not give and which counts in no figure about labels.
    """

    __tablename__ = "audit_item"
    __table_args__ = (
        UniqueConstraint("audit_id", "image_id", "node_id", "polarity"),
        UniqueConstraint("audit_id", "id"),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint("kind IN ('label', 'decoy')", name="kind"),
        Index(None, "audit_id", "image_position", "id"),
        Index(None, "node_id"),
    )

    id: Mapped[Key]
    audit_id: Mapped[int] = mapped_column(ForeignKey("audit.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    image_position: Mapped[int]
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str]
    root_key: Mapped[str]
    kind: Mapped[str] = mapped_column(server_default="label")


class PracticeItem(Model):
    """One question to practise on, about an image outside the sample, and what people of the project say."""

    __tablename__ = "practice_item"
    __table_args__ = (
        UniqueConstraint("audit_id", "image_id", "node_id", "polarity"),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint("expected IN ('appears', 'does_not_appear')", name="expected"),
        CheckConstraint("image_position > 0", name="image_position"),
        Index(None, "audit_id", "image_position", "id"),
    )

    id: Mapped[Key]
    audit_id: Mapped[int] = mapped_column(ForeignKey("audit.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    image_position: Mapped[int]
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str]
    expected: Mapped[str]


class Judgement(Model):
    """One participant's answer about one item, as it stands; `revision` counts changes of mind."""

    __tablename__ = "judgement"
    __table_args__ = (
        ForeignKeyConstraint(
            ["audit_id", "participant_id"], ["participant.audit_id", "participant.id"]
        ),
        ForeignKeyConstraint(["audit_id", "item_id"], ["audit_item.audit_id", "audit_item.id"]),
        CheckConstraint("answer IN ('appears', 'does_not_appear', 'cannot_tell')", name="answer"),
        Index(None, "item_id"),
    )

    participant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    audit_id: Mapped[int] = mapped_column(BigInteger)
    answer: Mapped[str]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    at: Mapped[Created]

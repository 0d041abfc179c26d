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

ANSWERS = ("appears", "does_not_appear", "cannot_tell")
STRATA = ("none", "root", "polarity", "run")


class Audit(Model):
    """One audit: how its sample was drawn, under which criteria version, of which agent run.

    `population` is how many images there were to draw from (about so many where `population_is_about`); NULL in
    audits of earlier releases. With `judges` each image is judged by that many participants, of whom each is asked
    about `images_each`; without, everyone is asked about all.
    """

    __tablename__ = "audit"
    __table_args__ = (
        CheckConstraint("sample_size > 0 AND min_labels > 0", name="sample"),
        CheckConstraint("state IN ('open', 'closed')", name="state"),
        CheckConstraint("decoy_percent BETWEEN 0 AND 50", name="decoy_percent"),
        CheckConstraint("check_percent BETWEEN 0 AND 50", name="check_percent"),
        CheckConstraint("probe_percent BETWEEN 0 AND 100", name="probe_percent"),
        CheckConstraint(f"strata IN {STRATA}", name="strata"),
        CheckConstraint(
            "(judges IS NULL) = (images_each IS NULL) AND judges > 0 AND images_each > 0",
            name="judges",
        ),
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
    check_percent: Mapped[int] = mapped_column(server_default=text("0"))
    probe_percent: Mapped[int] = mapped_column(server_default=text("0"))
    strata: Mapped[str] = mapped_column(server_default="none")
    judges: Mapped[int | None]
    images_each: Mapped[int | None]
    population: Mapped[int | None]
    population_is_about: Mapped[bool] = mapped_column(server_default=text("false"))
    is_simulated: Mapped[bool] = mapped_column(server_default=text("false"))
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]
    closed_at: Mapped[datetime | None]


class AuditItem(Model):
    """One question about one image of the sample, frozen when the audit was made: a label, a decoy, which
    the agent did not give and which counts in no figure about labels, or an attention check, which is about no
    attribute and says itself what to answer.
    """

    __tablename__ = "audit_item"
    __table_args__ = (
        UniqueConstraint("audit_id", "image_id", "node_id", "polarity"),
        UniqueConstraint("audit_id", "id"),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint("kind IN ('label', 'decoy', 'check')", name="kind"),
        CheckConstraint(
            "num_nonnulls(node_id, polarity, root_key) = CASE WHEN kind = 'check' THEN 0 ELSE 3 END",
            name="attribute",
        ),
        CheckConstraint("(kind = 'check') = (expected IS NOT NULL)", name="check"),
        CheckConstraint(f"expected IN {ANSWERS}", name="expected"),
        Index(None, "audit_id", "image_position", "id"),
        Index(None, "node_id"),
    )

    id: Mapped[Key]
    audit_id: Mapped[int] = mapped_column(ForeignKey("audit.id"))
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    image_position: Mapped[int]
    node_id: Mapped[int | None] = mapped_column(ForeignKey("node.id"))
    polarity: Mapped[str | None]
    root_key: Mapped[str | None]
    kind: Mapped[str] = mapped_column(server_default="label")
    expected: Mapped[str | None]


class AuditShare(Model):
    """An image that a participant is asked about, where not everyone is asked about all."""

    __tablename__ = "audit_share"
    __table_args__ = (
        ForeignKeyConstraint(
            ["audit_id", "participant_id"], ["participant.audit_id", "participant.id"]
        ),
        Index(None, "audit_id", "image_position"),
    )

    participant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    image_position: Mapped[int] = mapped_column(primary_key=True)
    audit_id: Mapped[int] = mapped_column(BigInteger)


class AuditProbe(Model):
    """A participant has said what is missing at an image, or that nothing is."""

    __tablename__ = "audit_probe"
    __table_args__ = (
        ForeignKeyConstraint(
            ["audit_id", "participant_id"], ["participant.audit_id", "participant.id"]
        ),
    )

    participant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    image_position: Mapped[int] = mapped_column(primary_key=True)
    audit_id: Mapped[int] = mapped_column(BigInteger, index=True)
    at: Mapped[Created]


class MissedAttribute(Model):
    """An attribute that a participant sees in an image and was not asked for."""

    __tablename__ = "missed_attribute"
    __table_args__ = (
        ForeignKeyConstraint(
            ["participant_id", "image_position"],
            ["audit_probe.participant_id", "audit_probe.image_position"],
            ondelete="CASCADE",
        ),
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
    )

    participant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    image_position: Mapped[int] = mapped_column(primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True)
    polarity: Mapped[str] = mapped_column(primary_key=True)


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
        CheckConstraint(f"answer IN {ANSWERS}", name="answer"),
        Index(None, "item_id"),
    )

    participant_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    item_id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    audit_id: Mapped[int] = mapped_column(BigInteger)
    answer: Mapped[str]
    revision: Mapped[int] = mapped_column(server_default=text("1"))
    at: Mapped[Created]

"""What was learned of agents from blind answers, and where the runs that an ensemble is made of differ."""

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model

ZERO = text("0")
COUNTS = ("agreed", "agreed_proposed", "differed", "differed_proposed", "alone", "alone_proposed")


class AgentTrust(Model):
    """What was learned at one time, for the ensemble of `agent_run_id` or by itself: `report` is shown as it is
    (`app.trust.schemas.ReportOut`), and rests on answers about so many `labels`.
    """

    __tablename__ = "agent_trust"
    __table_args__ = (
        CheckConstraint("labels >= 0", name="labels"),
        CheckConstraint("jsonb_typeof(report) = 'object'", name="report"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"), unique=True)
    labels: Mapped[int]
    report: Mapped[Json]
    made_at: Mapped[Created]


class AgentDifference(Model):
    """An attribute of an image of which one of an ensemble's runs says that it applies, and another that looked for it
    does not. `said` holds a sign for each run, in the order of the ensemble: + says so, - does not, x cannot tell.
    `probability` is how likely it holds; null where too few blind answers tell.
    """

    __tablename__ = "agent_difference"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint("said ~ '^[-+x]+$'", name="said"),
        CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
        Index(None, "agent_run_id", "node_id", "polarity", "image_id"),
        Index(None, "image_id"),
    )

    agent_run_id: Mapped[int] = mapped_column(ForeignKey("agent_run.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True)
    polarity: Mapped[str] = mapped_column(primary_key=True)
    said: Mapped[str]
    probability: Mapped[float | None]
    is_proposed: Mapped[bool]


class AgentAgreement(Model):
    """Of one attribute, on how many images an ensemble's runs agreed that it applies, differed, or one alone could
    tell; and how many of each the ensemble proposed. Kept in the transactions of its images.
    """

    __tablename__ = "agent_agreement"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint(
            "agreed_proposed BETWEEN 0 AND agreed AND differed_proposed BETWEEN 0 AND differed"
            " AND alone_proposed BETWEEN 0 AND alone",
            name="counts",
        ),
    )

    agent_run_id: Mapped[int] = mapped_column(ForeignKey("agent_run.id"), primary_key=True)
    node_id: Mapped[int] = mapped_column(ForeignKey("node.id"), primary_key=True)
    polarity: Mapped[str] = mapped_column(primary_key=True)
    agreed: Mapped[int] = mapped_column(server_default=ZERO)
    agreed_proposed: Mapped[int] = mapped_column(server_default=ZERO)
    differed: Mapped[int] = mapped_column(server_default=ZERO)
    differed_proposed: Mapped[int] = mapped_column(server_default=ZERO)
    alone: Mapped[int] = mapped_column(server_default=ZERO)
    alone_proposed: Mapped[int] = mapped_column(server_default=ZERO)

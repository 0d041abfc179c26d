"""Comparisons of agent runs as they were computed: none is computed while somebody waits for a page."""

from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model

ZERO = text("0")


class AgentComparison(Model):
    """What two runs found in the images that both looked at, as of `made_at`; null where nobody has computed it yet.

    `version_id` is the newest criteria version of both, whose names stand for the attributes. `figures` are those of
    all attributes that both looked for (`app.comparisons.figures.Figures`).
    """

    __tablename__ = "agent_comparison"
    __table_args__ = (
        UniqueConstraint("first_id", "second_id"),
        CheckConstraint("first_id <> second_id", name="two_runs"),
        CheckConstraint("images >= 0", name="images"),
        CheckConstraint("(made_at IS NULL) = (figures IS NULL)", name="made"),
        Index(None, "project_id", "id"),
        Index(None, "second_id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    first_id: Mapped[int] = mapped_column(ForeignKey("agent_run.id"))
    second_id: Mapped[int] = mapped_column(ForeignKey("agent_run.id"))
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    images: Mapped[int] = mapped_column(server_default=ZERO)
    figures: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    made_at: Mapped[datetime | None]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class AgentComparisonSide(Model):
    """One side of an attribute pair in a comparison: in how many images both runs found it, or one of them alone.

    `node_ids` is one pair, or several where one run knew it before it was merged or split: finding any of them counts.
    `asked_by` says who looked for it; where that is one run alone, nothing is gained or lost. `lost` are up to
    `app.comparisons.counting.EXAMPLES` images, drawn evenly, of those where the first run found it and the second did not,
    `gained` the other way round.
    """

    __tablename__ = "agent_comparison_side"
    __table_args__ = (
        CheckConstraint("polarity IN ('positive', 'negative')", name="polarity"),
        CheckConstraint("asked_by IN ('both', 'first', 'second')", name="asked_by"),
        CheckConstraint("in_both >= 0 AND only_first >= 0 AND only_second >= 0", name="counts"),
        CheckConstraint("cardinality(node_ids) > 0", name="node_ids"),
    )

    comparison_id: Mapped[int] = mapped_column(
        ForeignKey("agent_comparison.id", ondelete="CASCADE"), primary_key=True
    )
    place: Mapped[int] = mapped_column(primary_key=True)
    node_ids: Mapped[list[int]] = mapped_column(ARRAY(BigInteger))
    polarity: Mapped[str]
    asked_by: Mapped[str]
    in_both: Mapped[int]
    only_first: Mapped[int]
    only_second: Mapped[int]
    figures: Mapped[Json] = mapped_column(JSONB)
    lost: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), deferred=True)
    gained: Mapped[list[int]] = mapped_column(ARRAY(BigInteger), deferred=True)

"""Agent runs: one pass of an agent over a set of images, and what it did with each of them."""

from decimal import Decimal

from sqlalchemy import ARRAY, REAL, BigInteger, CheckConstraint, ForeignKey, Index, Numeric, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model

ZERO = text("0")


class AgentRun(Model):
    """One pass of an agent over a set of images, begun under one criteria version.

    Its counts are those of its rows in `agent_run_image`, kept in the same transactions. `labels` counts
    what was new or refreshed, `requests` how often a model's server was asked; `seed` is what it was told to draw by.
    `decides` are the sides (as `app.agents.sides` writes them) that it could have proposed, under whichever of its
    criteria versions; null where an older release or another program ran it.
    """

    __tablename__ = "agent_run"
    __table_args__ = (
        # Which agents there are says method.agents; a run outlives the agent that it was made with.
        CheckConstraint("agent ~ '^[a-z][a-z0-9_]{0,39}$'", name="agent"),
        CheckConstraint(
            "images >= 0 AND labels >= 0 AND problems BETWEEN 0 AND images AND dropped >= 0"
            " AND repaired >= 0 AND tokens_in >= 0 AND tokens_out >= 0 AND cost >= 0",
            name="counts",
        ),
        CheckConstraint("requests >= 0", name="requests"),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    job_id: Mapped[int | None] = mapped_column(ForeignKey("job.id"), unique=True)
    agent: Mapped[str]
    agent_version: Mapped[str]
    prompt_hash: Mapped[str | None]
    seed: Mapped[int | None] = mapped_column(BigInteger)
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    config: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    images: Mapped[int] = mapped_column(server_default=ZERO)
    labels: Mapped[int] = mapped_column(server_default=ZERO)
    problems: Mapped[int] = mapped_column(server_default=ZERO)
    dropped: Mapped[int] = mapped_column(server_default=ZERO)
    repaired: Mapped[int] = mapped_column(server_default=ZERO)
    requests: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    cost: Mapped[Decimal] = mapped_column(Numeric(14, 6), server_default=ZERO)
    decides: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger), deferred=True)
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class AgentRunImage(Model):
    """What a run did with one image. An image without a row waits.

    `version_id` is the criteria version it was looked at under, `proposed` the number of labels that it
    proposed, `dropped` that of statements which made no sense, `repaired` that of answers it was asked to
    mend, `notes` what it wrote down on the way (style, content, the dimensions that apply). `found` are the sides
    that it says hold (as `app.agents.sides` writes them), also those that people had decided before, which
    changed no label; `sure` is how sure it is of each, null where it does not say. What older releases did not keep is null.
    """

    __tablename__ = "agent_run_image"
    __table_args__ = (
        CheckConstraint("state IN ('labelled', 'failed', 'skipped')", name="state"),
        CheckConstraint("(state = 'labelled') = (reason IS NULL)", name="reason"),
        CheckConstraint("state = 'labelled' OR proposed = 0", name="proposed"),
        CheckConstraint(
            "attempts > 0 AND proposed >= 0 AND dropped >= 0 AND repaired >= 0"
            " AND tokens_in >= 0 AND tokens_out >= 0 AND cost >= 0 AND seconds >= 0",
            name="counts",
        ),
        CheckConstraint("requests >= 0", name="requests"),
        CheckConstraint("jsonb_typeof(notes) = 'object'", name="notes"),
        CheckConstraint("cardinality(found) = proposed", name="found"),
        CheckConstraint("cardinality(sure) = cardinality(found)", name="sure"),
        CheckConstraint("image_sha256 ~ '^[0-9a-f]{64}$'", name="image_sha256"),
        Index(
            "ix_agent_run_image_problems",
            "agent_run_id",
            "image_id",
            postgresql_where=text("state <> 'labelled'"),
        ),
        Index(None, "agent_run_id", "proposed"),
    )

    agent_run_id: Mapped[int] = mapped_column(ForeignKey("agent_run.id"), primary_key=True)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    version_id: Mapped[int] = mapped_column(ForeignKey("criteria_version.id"))
    state: Mapped[str]
    reason: Mapped[str | None]
    attempts: Mapped[int] = mapped_column(server_default=text("1"))
    proposed: Mapped[int] = mapped_column(server_default=ZERO)
    dropped: Mapped[int] = mapped_column(server_default=ZERO)
    repaired: Mapped[int] = mapped_column(server_default=ZERO)
    requests: Mapped[int] = mapped_column(server_default=ZERO)
    tokens_in: Mapped[int] = mapped_column(server_default=ZERO)
    tokens_out: Mapped[int] = mapped_column(server_default=ZERO)
    cost: Mapped[Decimal] = mapped_column(Numeric(14, 6), server_default=ZERO)
    notes: Mapped[Json | None] = mapped_column(JSONB(none_as_null=True))
    found: Mapped[list[int] | None] = mapped_column(ARRAY(BigInteger))
    sure: Mapped[list[float | None] | None] = mapped_column(ARRAY(REAL))
    image_sha256: Mapped[str | None]
    seconds: Mapped[float | None]
    at: Mapped[Created]


class AgentAnswer(Model):
    """What a model answered about an image, by a hash of all that it was asked: nothing is paid for twice.

    `agent_run_id` is the run that paid for it, and the counts are what it took, failed requests before it included:
    a run that was killed before it stored the image finds them here. Older releases did not keep that.
    """

    __tablename__ = "agent_answer"
    __table_args__ = (
        CheckConstraint("key ~ '^[0-9a-f]{64}$'", name="key"),
        CheckConstraint(
            "requests >= 0 AND tokens_in >= 0 AND tokens_out >= 0 AND cost >= 0", name="counts"
        ),
    )

    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    answer: Mapped[str]
    agent_run_id: Mapped[int | None] = mapped_column(ForeignKey("agent_run.id"))
    requests: Mapped[int] = mapped_column(server_default=ZERO)
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default=ZERO)
    cost: Mapped[Decimal] = mapped_column(Numeric(18, 9), server_default=ZERO)
    at: Mapped[Created]

"""The job ledger. The row is the truth; the message that a worker hears is only a doorbell."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model

OPEN_STATES = ("queued", "running", "cancelling")
QUEUES = ("cpu", "gpu")


class Job(Model):
    """One long piece of work.

    `attempt` only grows and is the fencing token of every write made for the job; `failures` is what
    stops a poison job. A wish to stop is one to `pause` where somebody means to go on; the two end in states of
    their own and are resumed alike.
    """

    __tablename__ = "job"
    __table_args__ = (
        CheckConstraint(
            "state IN ('queued', 'running', 'cancelling', 'succeeded', 'failed', 'cancelled', 'paused')",
            name="state",
        ),
        CheckConstraint("queue IN ('cpu', 'gpu')", name="queue"),
        CheckConstraint("attempt >= 0 AND failures >= 0 AND max_failures > 0", name="counts"),
        CheckConstraint(
            "(state IN ('running', 'cancelling')) = (lease_until IS NOT NULL)", name="lease"
        ),
        Index(None, "project_id", "id"),
        Index(
            "ix_job_open",
            "state",
            "not_before",
            postgresql_where=text("state IN ('queued', 'running', 'cancelling')"),
        ),
    )

    id: Mapped[Key]
    project_id: Mapped[int | None] = mapped_column(ForeignKey("project.id"))
    kind: Mapped[str]
    queue: Mapped[str] = mapped_column(server_default="cpu")
    spec: Mapped[Json]
    state: Mapped[str] = mapped_column(server_default="queued")
    attempt: Mapped[int] = mapped_column(server_default=text("0"))
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    max_failures: Mapped[int] = mapped_column(server_default=text("3"))
    owner: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    heartbeat_at: Mapped[datetime | None]
    cancel_requested_at: Mapped[datetime | None]
    pauses: Mapped[bool] = mapped_column(server_default=text("false"))
    not_before: Mapped[Created]
    sent_at: Mapped[datetime | None]
    progress: Mapped[Json] = mapped_column(server_default=text("'{}'::jsonb"))
    result: Mapped[Json | None]
    error_class: Mapped[str | None]
    error: Mapped[str | None]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]


class JobEvent(Model):
    """What happened to a job, in order; never changed."""

    __tablename__ = "job_event"
    __table_args__ = (Index(None, "job_id", "id"),)

    id: Mapped[Key]
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"))
    attempt: Mapped[int]
    kind: Mapped[str]
    message: Mapped[str] = mapped_column(server_default="")
    at: Mapped[Created]

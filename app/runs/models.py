"""Runs: training jobs with their config, metrics, samples and checkpoints."""

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model
from method.objectives import OBJECTIVES


def _kinds(fact: str | None = None) -> str:
    """The objectives, or those of which a fact holds, as SQL lists them."""
    return ", ".join(
        f"'{k}'" for k, facts in OBJECTIVES.items() if not fact or getattr(facts, fact)
    )


class Run(Model):
    """One training job with its config and what came out of it.

    It learns from a dataset or from a pair dataset. The other runs whose weights it takes are the expert,
    the one it starts as (`theta.init` path), and the npo run that makes the negative branch of its samples.
    """

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        # A new objective changes these three, so it takes a migration.
        CheckConstraint(f"kind IN ({_kinds()})", name="kind"),
        CheckConstraint(
            f"kind NOT IN ({_kinds('needs_expert')}) OR expert_run_id IS NOT NULL", name="expert"
        ),
        CheckConstraint(
            "num_nonnulls(dataset_id, pair_dataset_id) = 1"
            f" AND (pair_dataset_id IS NOT NULL) = (kind IN ({_kinds('reads_pairs')}))",
            name="data",
        ),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    number: Mapped[int]
    name: Mapped[str]
    kind: Mapped[str]
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), unique=True)
    dataset_id: Mapped[int | None] = mapped_column(ForeignKey("dataset.id"), index=True)
    pair_dataset_id: Mapped[int | None] = mapped_column(ForeignKey("pair_dataset.id"), index=True)
    expert_run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    start_run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    negative_run_id: Mapped[int | None] = mapped_column(ForeignKey("run.id"))
    config: Mapped[Json]
    folder: Mapped[str]
    result: Mapped[Json | None]
    created_by: Mapped[int | None] = mapped_column(ForeignKey("person.id"))
    created_at: Mapped[Created]


class RunMetric(Model):
    """What one training step logged."""

    __tablename__ = "run_metric"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    values: Mapped[Json]


class RunSample(Model):
    """A sample image that a run left at a step."""

    __tablename__ = "run_sample"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    file: Mapped[str] = mapped_column(primary_key=True)
    step: Mapped[int]
    index: Mapped[int]
    model: Mapped[str]
    prompt: Mapped[str]
    seed: Mapped[int] = mapped_column(BigInteger)


class RunCheckpoint(Model):
    """A complete checkpoint that a run left at a step."""

    __tablename__ = "run_checkpoint"

    run_id: Mapped[int] = mapped_column(ForeignKey("run.id"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=text("0"))
    at: Mapped[Created]

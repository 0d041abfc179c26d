"""Runs: training jobs with their config, metrics, samples and checkpoints."""

from collections.abc import Callable

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Created, Json, Key, Model
from method.objectives import OBJECTIVES


def _fact(name: str) -> Callable[[DefaultExecutionContext], bool]:
    """A fact of the row's objective, as the default of a column."""

    def default(row: DefaultExecutionContext) -> bool:
        values = row.get_current_parameters()  # type: ignore[no-untyped-call]
        return bool(getattr(OBJECTIVES[values["kind"]], name))

    return default


class Run(Model):
    """One training job with its config and what came out of it.

    It learns from a dataset or from a pair dataset. The other runs whose weights it takes are the expert,
    the one it starts as (`theta.init` path), and the npo run that makes the negative branch of its samples.
    """

    __tablename__ = "run"
    __table_args__ = (
        UniqueConstraint("project_id", "number"),
        # The objectives stand in `method/objectives.py`; what one needs is kept beside it, so that a new
        # one takes no migration.
        CheckConstraint("kind ~ '^[a-z][a-z0-9_]*$'", name="kind"),
        CheckConstraint("NOT needs_expert OR expert_run_id IS NOT NULL", name="expert"),
        CheckConstraint(
            "num_nonnulls(dataset_id, pair_dataset_id) = 1"
            " AND (pair_dataset_id IS NOT NULL) = reads_pairs",
            name="data",
        ),
        Index(None, "project_id", "id"),
    )

    id: Mapped[Key]
    project_id: Mapped[int] = mapped_column(ForeignKey("project.id"))
    number: Mapped[int]
    name: Mapped[str]
    kind: Mapped[str]
    needs_expert: Mapped[bool] = mapped_column(default=_fact("needs_expert"))
    reads_pairs: Mapped[bool] = mapped_column(default=_fact("reads_pairs"))
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

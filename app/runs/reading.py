"""Looking at runs: lists, metrics, samples, checkpoints, files."""

import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session, aliased

from app.datasets.models import Dataset
from app.errors import NotFound
from app.jobs.models import Job
from app.projects.models import Project
from app.runs.launching import folder_of
from app.runs.models import Run, RunCheckpoint, RunMetric, RunSample

BIGGEST = 2**63 - 1
POINTS = 1500
LOG_BYTES = 256 * 1024
# The order in which people read logged values; the database keeps none.
VALUES = (
    "epoch", "loss", "win", "lose", "accuracy", "rho", "factor", "drift", "grad_norm", "lr",
    "images_per_second", "memory_mb",
)  # fmt: skip


@dataclass(frozen=True)
class RunRow:
    """A run with what belongs to it."""

    run: Run
    job: Job
    dataset: Dataset
    expert: Run | None
    last: Mapping[str, Any]
    """What it logged last, with its `step`; empty before the first step."""


@dataclass(frozen=True)
class Metrics:
    """Logged steps, oldest first; each row has its `step`."""

    rows: Sequence[Mapping[str, Any]]
    is_thinned: bool
    """Whether steps were left out to keep the number of points down."""
    is_restart: bool
    """Whether the rows begin at the first step because what the caller has seen is no longer true."""


def as_id(text: str) -> int | None:
    """An id that an address or a form names; None where that cannot be one."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def get_run(db: Session, project: Project, run_id: int) -> Run:
    """A run of this project. Raises NotFound."""
    run = None
    if 0 < run_id <= BIGGEST:
        run = db.scalar(select(Run).where(Run.id == run_id, Run.project_id == project.id))
    if run is None:
        raise NotFound("There is no such run in this project.")
    return run


def find_runs(
    db: Session,
    project: Project,
    *,
    before: int | None = None,
    limit: int = 20,
    only: int | None = None,
) -> Sequence[RunRow]:
    """Runs, newest first, a page at a time; `only` narrows to one."""
    expert = aliased(Run)
    last = (
        select(RunMetric.step, RunMetric.values)
        .where(RunMetric.run_id == Run.id)
        .order_by(RunMetric.step.desc())
        .limit(1)
        .lateral()
    )
    query = (
        select(Run, Job, Dataset, expert, last.c.step, last.c["values"])
        .join(Job, Job.id == Run.job_id)
        .join(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(expert, expert.id == Run.expert_run_id)
        .outerjoin(last, last.c.step.is_not(None))
        .where(Run.project_id == project.id)
        .order_by(Run.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Run.id < before)
    if only is not None:
        query = query.where(Run.id == only)
    return [
        RunRow(run, job, dataset, made_by, {} if step is None else _last(step, values))
        for run, job, dataset, made_by, step, values in db.execute(query)
    ]


def _last(step: int, values: Mapping[str, Any]) -> dict[str, Any]:
    others = sorted(values.keys() - {*VALUES, "time"})
    known = [name for name in VALUES if name in values]
    return {"step": step} | {name: values[name] for name in (*known, *others)}


def get_run_row(db: Session, project: Project, run_id: int) -> RunRow:
    """A run of this project with what belongs to it. Raises NotFound."""
    run = get_run(db, project, run_id)
    return find_runs(db, project, only=run.id, limit=1)[0]


def find_experts(db: Session, project: Project, *, limit: int = 50) -> Sequence[Run]:
    """Finished SFT runs, newest first: what stage 2 can start from."""
    return db.scalars(
        select(Run)
        .join(Job, Job.id == Run.job_id)
        .where(
            Run.project_id == project.id,
            Run.kind == "sft",
            Run.result.is_not(None),
            Job.state == "succeeded",
        )
        .order_by(Run.id.desc())
        .limit(limit)
    ).all()


def find_others(db: Session, run: Run, *, limit: int = 50) -> Sequence[Run]:
    """Other runs of the project, newest first: what curves can be compared with."""
    return db.scalars(
        select(Run)
        .where(Run.project_id == run.project_id, Run.id != run.id)
        .order_by(Run.id.desc())
        .limit(limit)
    ).all()


def find_metrics(
    db: Session,
    run: Run,
    *,
    after: int = -1,
    until: int | None = None,
    seen: float | None = None,
    points: int = POINTS,
) -> Metrics:
    """Logged steps after a step, thinned evenly to about `points`; the last one is always among them.

    `seen` is the `time` that the caller knows of step `after`: where it is another one now, because the
    run was resumed from an earlier checkpoint, the rows begin at the first step again.
    """
    is_restart = False
    if after >= 0 and seen is not None:
        known = db.get(RunMetric, (run.id, after))
        if known is None or known.values.get("time") != seen:
            after, is_restart = -1, True
    wanted = select(RunMetric.step).where(RunMetric.run_id == run.id, RunMetric.step > after)
    if until is not None:
        wanted = wanted.where(RunMetric.step <= until)
    count = db.scalar(select(func.count()).select_from(wanted.subquery())) or 0
    query = select(RunMetric).where(RunMetric.run_id == run.id)
    is_thinned = count > points
    if is_thinned:
        # Counted from the end, so that the newest step stays.
        numbered = wanted.add_columns(
            func.row_number().over(order_by=RunMetric.step.desc()).label("place")
        ).subquery()
        every = -(-count // points)
        chosen = select(numbered.c.step).where(numbered.c.place % every == 1)
        query = query.where(RunMetric.step.in_(chosen))
    else:
        query = query.where(RunMetric.step.in_(wanted))
    rows = db.scalars(query.order_by(RunMetric.step)).all()
    return Metrics([{"step": row.step, **row.values} for row in rows], is_thinned, is_restart)


def find_samples(db: Session, run: Run, *, limit: int = 5000) -> Sequence[RunSample]:
    """Sample images, by step, prompt and model."""
    return db.scalars(
        select(RunSample)
        .where(RunSample.run_id == run.id)
        .order_by(RunSample.step, RunSample.index, RunSample.model)
        .limit(limit)
    ).all()


def find_checkpoints(db: Session, run: Run) -> Sequence[RunCheckpoint]:
    """Complete checkpoints, newest first."""
    return db.scalars(
        select(RunCheckpoint)
        .where(RunCheckpoint.run_id == run.id)
        .order_by(RunCheckpoint.step.desc())
    ).all()


def sample_path(db: Session, run: Run, name: str) -> Path:
    """The file of a sample by its bare name; only what the run has recorded. Raises NotFound."""
    row = db.get(RunSample, (run.id, f"samples/{name}")) if "\x00" not in name else None
    path = folder_of(run) / row.file if row else None
    if path is None or path.is_symlink() or not path.is_file():
        raise NotFound("There is no such sample in this run.")
    return path


def adapter_path(run: Run) -> Path:
    """The file of a finished run's weights. Raises NotFound."""
    path = folder_of(run) / str(run.result["adapter"]) if run.result else None
    if path is None or path.is_symlink() or not path.is_file():
        raise NotFound("This run has left no adapter yet.")
    return path


def open_adapter_zip(run: Run) -> IO[bytes]:
    """The adapter's folder as a ZIP file: the weights and their model card. Raises NotFound."""
    folder = adapter_path(run).parent
    packed = tempfile.TemporaryFile()  # noqa: SIM115 - the answer closes it when it is sent
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.iterdir()):
            if path.is_file() and not path.is_symlink() and not path.name.startswith("."):
                archive.write(path, f"{run.folder}/{path.name}")
    packed.seek(0)
    return packed


def read_log(run: Run, *, lines: int = 200) -> str:
    """The end of a run's log, and what its last attempt wrote beside it."""
    folder = folder_of(run)
    parts = [_tail(folder / name, lines) for name in ("log.txt", "errors.txt")]
    return "\n".join(part for part in parts if part)


def _tail(path: Path, lines: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])

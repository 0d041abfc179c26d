"""Looking at runs: lists, metrics, samples, checkpoints, files."""

import os
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sqlalchemy import ColumnElement, Double, case, func, select
from sqlalchemy.orm import Session, aliased

from app.database import LARGEST_KEY
from app.datasets.models import Dataset, PairDataset
from app.errors import Invalid, NotFound
from app.jobs.models import OPEN_STATES, Job
from app.projects.models import Project
from app.runs.launching import folder_of
from app.runs.models import Run, RunCheckpoint, RunMetric, RunSample
from method.run_folder import ERRORS, LOG
from method.whole_numbers import read_whole

POINTS = 1500
# Besides the run itself; more curves than six cannot be told apart.
MOST_OVERLAID = 5
LOG_BYTES = 256 * 1024
# Logged values in the order in which people read them; the database keeps none. Those on every row...
DENSE = (
    "loss", "win", "lose", "alignment", "drift", "gap", "lead", "accuracy", "cosine", "rho", "factor",
    "grad_norm", "grad_win", "grad_lose", "lr", "lr_factor", "images_per_second", "memory_mb", "skipped_steps",
)  # fmt: skip
# ...and those on some only, which keep their own steps, however thinned the others are.
SPARSE = (
    "validation_loss", "validation_win", "validation_lose", "validation_alignment", "validation_drift",
)  # fmt: skip
VALUES = ("epoch", "loss", *SPARSE, *DENSE[1:])


@dataclass(frozen=True)
class RunRow:
    """A run with what belongs to it: the one dataset or pair dataset it learns from, and the other runs
    whose weights it takes.
    """

    run: Run
    job: Job
    dataset: Dataset | None
    pairs: PairDataset | None
    expert: Run | None
    start: Run | None
    negative: Run | None
    last: Mapping[str, Any]
    """What it logged last, with its `step`; empty before the first step."""


@dataclass(frozen=True)
class Metrics:
    """Logged steps, oldest first; each row has its `step`."""

    rows: Sequence[Mapping[str, Any]]
    is_cut: bool
    """Whether later steps were left out."""


@dataclass(frozen=True)
class Buckets:
    """Values that were logged together, by name: one number for each bucket of steps, or None.

    `first` and `last` are the first and the last logged step of each bucket. `low` and `high`, which
    keep what stands out, are empty where every bucket is one step.
    """

    first: list[int]
    last: list[int]
    mean: dict[str, list[float | None]]
    low: dict[str, list[float | None]]
    high: dict[str, list[float | None]]


@dataclass(frozen=True)
class Curves:
    """What a run logged, ready to be drawn. `difference` is the winning less the losing part."""

    groups: Sequence[Buckets]
    newest: tuple[int, float | None] | None
    """The newest step and the `time` it was logged at."""
    is_thinned: bool
    """Whether some buckets hold several steps."""
    is_restart: bool
    """Whether the curves begin at the first step because what the caller has seen is no longer true."""


def as_id(text: str) -> int | None:
    """An id that an address or a form names; None where that cannot be one."""
    return read_whole(text, LARGEST_KEY)


def as_choice(text: str) -> int | None:
    """The id that was chosen, or None for nothing; what cannot be an id is one that is not there."""
    return (as_id(text) or 0) if text else None


def get_run(db: Session, project: Project, run_id: int) -> Run:
    """A run of this project. Raises NotFound."""
    run = None
    if 0 < run_id <= LARGEST_KEY:
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
    expert, start, negative = aliased(Run), aliased(Run), aliased(Run)
    last = (
        select(RunMetric.step, RunMetric.values)
        .where(RunMetric.run_id == Run.id)
        .order_by(RunMetric.step.desc())
        .limit(1)
        .lateral()
    )
    query = (
        select(
            Run, Job, Dataset, PairDataset, expert, start, negative, last.c.step, last.c["values"]
        )
        .join(Job, Job.id == Run.job_id)
        .outerjoin(Dataset, Dataset.id == Run.dataset_id)
        .outerjoin(PairDataset, PairDataset.id == Run.pair_dataset_id)
        .outerjoin(expert, expert.id == Run.expert_run_id)
        .outerjoin(start, start.id == Run.start_run_id)
        .outerjoin(negative, negative.id == Run.negative_run_id)
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
        RunRow(
            run=found[0],
            job=found[1],
            dataset=found[2],
            pairs=found[3],
            expert=found[4],
            start=found[5],
            negative=found[6],
            last={} if found[7] is None else _last(found[7], found[8]),
        )
        for found in db.execute(query)
    ]


def _last(step: int, values: Mapping[str, Any]) -> dict[str, Any]:
    others = sorted(values.keys() - {*VALUES, "time"})
    known = [name for name in VALUES if name in values]
    return {"step": step} | {name: values[name] for name in (*known, *others)}


def get_run_row(db: Session, project: Project, run_id: int) -> RunRow:
    """A run of this project with what belongs to it. Raises NotFound."""
    run = get_run(db, project, run_id)
    return find_runs(db, project, only=run.id, limit=1)[0]


def find_others(db: Session, run: Run, *, limit: int = 50) -> Sequence[Run]:
    """Other runs of the project, newest first: what this one can be compared with."""
    return db.scalars(
        select(Run)
        .where(Run.project_id == run.project_id, Run.id != run.id)
        .order_by(Run.id.desc())
        .limit(limit)
    ).all()


def find_open(db: Session, project: Project) -> set[int]:
    """The ids of the runs that are not over."""
    open_runs = select(Run.id).join(Job, Job.id == Run.job_id)
    return set(
        db.scalars(open_runs.where(Run.project_id == project.id, Job.state.in_(OPEN_STATES)))
    )


def find_overlaid(db: Session, run: Run, text: str) -> Sequence[Run]:
    """The runs that an address such as `3,7` lays over this one, in its order. What is no other run of
    the project is passed over, so that a shared view outlives its runs. Raises Invalid for too many.
    """
    ids = [number for part in text.split(",") if (number := as_id(part.strip())) is not None]
    if len(ids) > MOST_OVERLAID:
        raise Invalid(
            f"{len(ids) + 1} runs are too many for one view.",
            hint=f"Choose {MOST_OVERLAID + 1} at most.",
            field="compare",
        )
    found = db.scalars(
        select(Run).where(Run.project_id == run.project_id, Run.id.in_(ids), Run.id != run.id)
    ).all()
    return sorted(found, key=lambda each: ids.index(each.id))


def find_metrics(
    db: Session, run: Run, *, after: int = -1, until: int | None = None, points: int = POINTS
) -> Metrics:
    """Steps after a step as they were logged, oldest first, `points` of them at most."""
    query = select(RunMetric).where(*_between(run, after, until)).order_by(RunMetric.step)
    found = db.scalars(query.limit(points + 1)).all()
    rows = [{"step": row.step, **row.values} for row in found[:points]]
    return Metrics(rows, is_cut=len(found) > points)


def _between(run: Run, after: int, until: int | None) -> list[ColumnElement[bool]]:
    conditions = [RunMetric.run_id == run.id, RunMetric.step > after]
    return conditions if until is None else [*conditions, RunMetric.step <= until]


def find_curves(
    db: Session,
    run: Run,
    *,
    after: int = -1,
    until: int | None = None,
    seen: float | None = None,
    points: int = POINTS,
) -> Curves:
    """Logged values after a step for drawing, in at most `points` buckets of steps.

    `seen` is the `time` that the caller knows of step `after`: where it is another one now, because the
    run was resumed from an earlier checkpoint, the curves begin at the first step again.
    """
    is_restart = False
    if after >= 0 and seen is not None:
        known = db.get(RunMetric, (run.id, after))
        is_restart = known is None or known.values.get("time") != seen
    conditions = _between(run, -1 if is_restart else after, until)
    newest = db.scalars(
        select(RunMetric).where(*conditions).order_by(RunMetric.step.desc()).limit(1)
    ).first()
    if newest is None:
        return Curves([], newest=None, is_thinned=False, is_restart=is_restart)
    # A run that trains logs between these statements; what is newer than `newest` comes the next time.
    conditions.append(RunMetric.step <= newest.step)
    groups = [_find_buckets(db, conditions, DENSE, points)]
    # A validation logs all of them, so they are buckets of the same steps.
    holds = [*conditions, RunMetric.values.has_key(SPARSE[0])]
    groups.append(_find_buckets(db, holds, SPARSE, points))
    return Curves(
        groups=[group for group in groups if group.mean],
        newest=(newest.step, newest.values.get("time")),
        is_thinned=any(group.low for group in groups),
        is_restart=is_restart,
    )


def _find_buckets(
    db: Session, conditions: Sequence[ColumnElement[bool]], names: Sequence[str], points: int
) -> Buckets:
    count, first, last = db.execute(
        select(func.count(), func.min(RunMetric.step), func.max(RunMetric.step)).where(*conditions)
    ).one()
    width = 1 if count <= points else _bucket_width(first, last, points)
    value = {name: RunMetric.values[name].as_string().cast(Double) for name in names}
    if {"win", "lose"} <= value.keys():
        value["difference"] = value["win"] - value["lose"]
    # OFFSET keeps the planner from taking each value out of the JSON three times.
    rows = select(
        RunMetric.step, *(column.label(name) for name, column in value.items())
    ).where(*conditions).offset(0).subquery()  # fmt: skip
    # The newest step is a bucket of its own, so that what is read last is what was logged last.
    bucket = case((rows.c.step == last, last), else_=rows.c.step // width * width - 1)
    query = select(
        func.min(rows.c.step),
        func.max(rows.c.step),
        *(func.avg(rows.c[name]) for name in value),
        *(each(rows.c[name]) for name in (value if width > 1 else ()) for each in (func.min, func.max)),
    ).group_by(bucket).order_by(func.min(rows.c.step))  # fmt: skip
    columns = list(zip(*db.execute(query), strict=True)) if count else []
    return _as_buckets(list(value), columns)


def _bucket_width(first: int, last: int, points: int) -> int:
    """A power of two, so that the buckets of several runs and of closer looks share their borders."""
    width = 1
    while last // width - first // width + 2 > points:
        width *= 2
    return width


def _as_buckets(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> Buckets:
    if not columns:
        return Buckets([], [], {}, {}, {})
    first, last, *rest = columns
    logged = [at for at in range(len(names)) if any(value is not None for value in rest[at])]
    extremes = rest[len(names) :]
    return Buckets(
        first=list(first),
        last=list(last),
        mean={names[at]: list(rest[at]) for at in logged},
        low={names[at]: list(extremes[2 * at]) for at in logged if extremes},
        high={names[at]: list(extremes[2 * at + 1]) for at in logged if extremes},
    )


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
    parts = [_tail(folder / name, lines) for name in (LOG, ERRORS)]
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

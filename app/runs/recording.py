"""What a run tells of itself, kept in tables. The worker calls these in transactions that only the
present attempt can commit; each may be repeated without harm.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.database import Json
from app.errors import Invalid
from app.runs.models import Run, RunCheckpoint, RunMetric, RunSample

BATCH = 2000
SAMPLE_FILE = re.compile(r"samples/[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.png")
# An adapter, or a whole network: one file, or the index of several.
WEIGHTS_FILE = re.compile(
    r"(adapter|network)/[A-Za-z0-9][A-Za-z0-9._-]{0,120}\.safetensors(\.index\.json)?"
)
MODELS = ("target", "ema", "expert", "base")


def record_metrics(db: Session, run: Run, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep what steps logged; a step that is there already is replaced. Each row has a `step`."""
    # A statement may not touch the same row twice: the last one of a step counts.
    values = {
        int(row["step"]): {key: value for key, value in row.items() if key != "step"}
        for row in rows
    }
    steps = list(values.items())
    for start in range(0, len(steps), BATCH):
        statement = insert(RunMetric).values(
            [
                {"run_id": run.id, "step": step, "values": value}
                for step, value in steps[start : start + BATCH]
            ]
        )
        db.execute(
            statement.on_conflict_do_update(
                index_elements=["run_id", "step"], set_={"values": statement.excluded["values"]}
            )
        )


def record_samples(db: Session, run: Run, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keep which sample images there are. Raises Invalid for a file outside the run's samples."""
    values: dict[str, Json] = {}
    for row in rows:
        file, model = str(row["file"]), str(row["model"])
        if not SAMPLE_FILE.fullmatch(file) or model not in MODELS:
            raise Invalid(f"“{file}” of “{model}” is no sample of a run.", field="file")
        values[file] = {
            "run_id": run.id,
            "file": file,
            "step": int(row["step"]),
            "index": int(row["index"]),
            "model": model,
            "prompt": str(row["prompt"]),
            "seed": int(row["seed"]),
        }
    files = list(values.values())
    for start in range(0, len(files), BATCH):
        statement = insert(RunSample).values(files[start : start + BATCH])
        names = ("step", "index", "model", "prompt", "seed")
        db.execute(
            statement.on_conflict_do_update(
                index_elements=["run_id", "file"],
                set_={name: statement.excluded[name] for name in names},
            )
        )


def record_checkpoints(db: Session, run: Run, bytes_by_step: Mapping[int, int]) -> None:
    """Keep which complete checkpoints there are, forgetting those that have been removed."""
    known = set(db.scalars(select(RunCheckpoint.step).where(RunCheckpoint.run_id == run.id)))
    gone = known - bytes_by_step.keys()
    if gone:
        db.execute(
            delete(RunCheckpoint).where(
                RunCheckpoint.run_id == run.id, RunCheckpoint.step.in_(gone)
            )
        )
    new = [
        {"run_id": run.id, "step": step, "bytes": size}
        for step, size in bytes_by_step.items()
        if step not in known
    ]
    if new:
        db.execute(insert(RunCheckpoint).values(new).on_conflict_do_nothing())


def truncate_after(
    db: Session, run: Run, *, metrics: int | None = None, samples: int | None = None
) -> None:
    """Forget metrics and samples of later steps than these: a resumed run takes them again."""
    if metrics is not None:
        db.execute(delete(RunMetric).where(RunMetric.run_id == run.id, RunMetric.step > metrics))
    if samples is not None:
        db.execute(delete(RunSample).where(RunSample.run_id == run.id, RunSample.step > samples))


def record_result(db: Session, run: Run, result: Json) -> None:
    """The run is finished. Raises Invalid where its weights are not files of the run."""
    del db
    adapter, kohya = result.get("adapter"), result.get("kohya")
    if not isinstance(adapter, str) or not WEIGHTS_FILE.fullmatch(adapter):
        raise Invalid(f"“{adapter}” are no weights of a run.", field="adapter")
    if kohya is not None and not (isinstance(kohya, str) and WEIGHTS_FILE.fullmatch(kohya)):
        raise Invalid(f"“{kohya}” are no weights of a run.", field="kohya")
    run.result = result

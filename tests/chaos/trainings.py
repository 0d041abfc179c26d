"""A short training of the tiny model: asked for, looked at, and what an unbroken one comes to."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import database
from app.database import unit_of_work
from app.datasets.models import Dataset
from app.jobs import claiming
from app.jobs.models import Job, JobEvent
from app.runs import launching, reading
from app.runs.models import Run
from app.settings import settings
from tests.chaos.processes import wait_until, words_of
from tests.factories import Make

# Enough that a kill comes long before the end, also on a fast and idle machine.
STEPS = 300
EVERY = 20
OPTIONS = {
    "optimization.max_steps": STEPS,
    "optimization.batch_size": 2,
    "checkpoints.every": EVERY,
    "samples.every": 0,
    "samples.prompts": ["a house"],
    "samples.steps": 2,
}


@dataclass(frozen=True)
class Materials:
    """What runs learn from and what they adapt."""

    model: Path
    dataset: Path


@dataclass(frozen=True)
class Outcome:
    """What a finished run leaves: the adapter's bytes and the loss of every step, in order."""

    adapter: bytes
    losses: list[tuple[int, float]]


def open_models(materials: Materials) -> None:
    """As the operator opens a folder of base models with MORELLI_MODEL_FOLDERS."""
    settings().model_folders = [materials.model.parent]


def train_unbroken(materials: Materials, folder: Path) -> Outcome:
    """The same config in this process, from its beginning to its end."""
    from worker.training.metrics import read_lines
    from worker.training.run import run

    open_models(materials)
    config = launching.compose_config(
        kind="sft", base_model=str(materials.model), chosen=OPTIONS, preset="tiny"
    )
    run(replace(config, run_folder=str(folder), dataset_folder=str(materials.dataset)))
    adapter = folder / "adapter" / "pytorch_lora_weights.safetensors"
    return Outcome(adapter.read_bytes(), _losses(read_lines(folder / "metrics.jsonl")))


def ask_for_training(materials: Materials) -> Run:
    """A project, a dataset and a run in it, as the launch page asks for one."""
    copy = settings().datasets_folder / materials.dataset.name
    if not copy.exists():
        shutil.copytree(materials.dataset, copy)
    with Session(database.engine(), expire_on_commit=False) as db:
        make = Make(db)
        project = make.project("chaos")
        dataset = Dataset(
            project_id=project.id,
            number=1,
            name="Houses",
            version_id=make.version(project).id,
            counts={"images": 8, "train": 8, "without_negative": 1},
            folder=copy.name,
            manifest_sha256=json.loads((copy / "manifest.json").read_text())["sha256"],
        )
        db.add(dataset)
        db.commit()
    open_models(materials)
    with unit_of_work() as db:
        return launching.launch_run(
            db,
            project,
            kind="sft",
            name="Run",
            dataset_id=dataset.id,
            base_model=str(materials.model),
            by=None,
            options=OPTIONS,
            preset="tiny",
        )


def job_of(run: Run) -> Job:
    with unit_of_work() as db:
        return db.get_one(Job, run.job_id)


def story_of(run: Run) -> list[tuple[int, str, str]]:
    """What happened to the run's job: attempt, what, message. Who did it is left out."""
    with unit_of_work() as db:
        events = db.scalars(
            select(JobEvent).where(JobEvent.job_id == run.job_id).order_by(JobEvent.id)
        )
        return [
            (each.attempt, each.kind, "" if each.kind == "started" else each.message)
            for each in events
        ]


def metrics_of(run: Run) -> list[dict[str, Any]]:
    with unit_of_work() as db:
        return [dict(row) for row in reading.find_metrics(db, run, points=10_000).rows]


def trainers_of(run: Run) -> list[int]:
    """Processes that train in the run's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        words = words_of(int(entry.name)) if entry.name.isdigit() else []
        if "worker.training" in words and any(run.config["run_folder"] in word for word in words):
            found.append(int(entry.name))
    return found


def wait_for_mid_run(run: Run) -> int:
    """Return the trainer when a checkpoint is there and a few steps beyond it are known."""

    def is_there() -> bool:
        known = len(metrics_of(run))
        return known > EVERY and known % EVERY >= 3

    wait_until(is_there, "the training comes beyond its first checkpoint")
    (trainer,) = trainers_of(run)
    return trainer


def is_over(run: Run) -> bool:
    return job_of(run).state not in ("queued", "running", "cancelling")


def is_complete(run: Run) -> bool:
    """Whether a trainer came to the end of the run, whatever the ledger knows of it."""
    return (launching.folder_of(run) / "result.json").exists()


def sweep() -> bool:
    """What every worker's sweeper does from time to time."""
    with unit_of_work() as db:
        claiming.sweep(db)
    return True


def _losses(rows: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(row["step"], row["loss"]) for row in rows]


def outcome_of(run: Run) -> Outcome:
    from worker.training.metrics import read_lines

    folder = launching.folder_of(run)
    adapter = folder / "adapter" / "pytorch_lora_weights.safetensors"
    with unit_of_work() as db:
        found = db.get_one(Run, run.id)
        assert found.result is not None
        assert found.result["steps"] == STEPS
        assert reading.adapter_path(found) == adapter
    losses = _losses(metrics_of(run))
    assert losses == _losses(read_lines(folder / "metrics.jsonl"))
    return Outcome(adapter.read_bytes(), losses)


def assert_finished_like(run: Run, unbroken: Outcome) -> None:
    """Finished once, resumed from a checkpoint, and no number differs from the unbroken run's."""
    outcome = outcome_of(run)
    assert [step for step, _ in outcome.losses] == list(range(1, STEPS + 1))
    assert outcome.losses == unbroken.losses
    assert outcome.adapter == unbroken.adapter
    assert "Resumed from step-" in (launching.folder_of(run) / "log.txt").read_text()
    assert [kind for _, kind, _ in story_of(run)].count("succeeded") == 1
    assert trainers_of(run) == []

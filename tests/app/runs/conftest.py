"""A dataset that is ready, a base model that is there, and runs as the worker would leave them."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from sqlalchemy.orm import Session

from app.datasets.models import Dataset, PairDataset
from app.jobs.models import Job
from app.projects.models import Project
from app.runs import base_models, launching, recording
from app.runs.models import Run
from app.settings import settings
from method.objectives import OBJECTIVES
from tests.factories import Make

MakeDataset = Callable[..., Dataset]
MakePairs = Callable[..., PairDataset]
Launch = Callable[..., Run]
Finish = Callable[..., Run]
PAIRED = {kind for kind, facts in OBJECTIVES.items() if facts.reads_pairs}
COUNTS = {
    "images": 10, "train": 8, "validation": 1, "test": 1, "without_negative": 2, "positive_labels": 9,
    "negative_labels": 8, "without_prompt": 0,
}  # fmt: skip


def forget_models() -> None:
    for each in base_models.find_base_models():
        shutil.rmtree(each.folder)


@pytest.fixture
def model(db: Session) -> str:
    """The name of a base model: for launching its index is enough."""
    forget_models()
    folder = settings().models_folder / base_models.TINY
    folder.mkdir(parents=True)
    (folder / base_models.INDEX).write_text("{}")
    return folder.name


@pytest.fixture
def make_dataset(db: Session, make: Make) -> MakeDataset:
    """Makes a dataset that is ready (with `ready=False` one that is not)."""

    def make_one(project: Project, *, ready: bool = True, number: int = 1) -> Dataset:
        version = make.version(project, number=number)
        dataset = Dataset(
            project_id=project.id,
            number=number,
            name="Houses",
            version_id=version.id,
            counts=COUNTS,
        )
        if ready:
            dataset.folder, dataset.manifest_sha256 = f"{project.slug}-{number}", "a" * 64
            folder = settings().datasets_folder / dataset.folder
            (folder / "validation").mkdir(parents=True, exist_ok=True)
            (folder / "manifest.json").write_text("{}")
            rows = [{"prompt": f"house {n}"} for n in range(6)]
            lines = "".join(json.dumps(row) + "\n" for row in rows)
            (folder / "validation" / "examples.jsonl").write_text(lines)
        db.add(dataset)
        db.commit()
        return dataset

    return make_one


@pytest.fixture
def make_pairs(db: Session) -> MakePairs:
    """Makes a pair dataset that is ready (with `ready=False` one that is not)."""

    def make_one(project: Project, *, ready: bool = True, number: int = 1) -> PairDataset:
        pairs = PairDataset(
            project_id=project.id,
            number=number,
            name="House pairs",
            source="import",
            options={"path": "/pairs.parquet"},
            counts={"pairs": 12, "train": 9, "validation": 2, "test": 1, "images": 20},
        )
        if ready:
            pairs.folder, pairs.manifest_sha256 = f"{project.slug}-pairs-{number}", "c" * 64
            folder = settings().pairs_folder / pairs.folder
            (folder / "train").mkdir(parents=True, exist_ok=True)
            (folder / "manifest.json").write_text("{}")
            lines = "".join(json.dumps({"prompt": f"pair {n}"}) + "\n" for n in range(6))
            (folder / "train" / "pairs.jsonl").write_text(lines)
        db.add(pairs)
        db.commit()
        return pairs

    return make_one


@pytest.fixture
def launch(db: Session, make_dataset: MakeDataset, make_pairs: MakePairs, model: str) -> Launch:
    """Launches a run on the tiny preset; makes its dataset or pair dataset where none is given."""

    def do(project: Project, dataset: Dataset | PairDataset | None = None, **values: Any) -> Run:
        is_paired = values.get("kind") in PAIRED and "dataset_id" not in values
        dataset = dataset or (make_pairs(project) if is_paired else make_dataset(project))
        field = "pair_dataset_id" if isinstance(dataset, PairDataset) else "dataset_id"
        wanted: dict[str, Any] = {
            "kind": "sft", "name": "First", field: dataset.id, "base_model": model,
            "preset": "tiny", "by": None,
        }  # fmt: skip
        run = launching.launch_run(db, project, **(wanted | values))
        db.commit()
        return run

    return do


@pytest.fixture
def finish(db: Session) -> Finish:
    """Has a run look as after training: metrics, samples, a checkpoint, an adapter, a result."""

    def do(run: Run, *, state: str = "succeeded", steps: int = 40) -> Run:
        folder = launching.folder_of(run)
        (folder / "samples").mkdir(parents=True)
        (folder / "log.txt").write_text("line\n" * 300 + "the last line\n")
        recording.record_metrics(db, run, [metric(step) for step in range(1, steps + 1)])
        samples = [
            {"step": s, "index": 0, "prompt": "a <house>", "seed": 7, "model": "target",
             "file": f"samples/step-{s:06d}-00.png"}
            for s in (0, 20, 40)
        ]  # fmt: skip
        for each in samples:
            picture(folder / str(each["file"]))
        recording.record_samples(db, run, samples)
        recording.record_checkpoints(db, run, {40: 5 * 2**31})
        if state == "succeeded":
            (folder / "adapter").mkdir()
            (folder / "adapter" / "pytorch_lora_weights.safetensors").write_bytes(b"weights")
            (folder / "adapter" / "README.md").write_text("# Card\n")
            result = {
                "steps": steps, "adapter": "adapter/pytorch_lora_weights.safetensors",
                "sha256": "b" * 64, "final": metric(steps), "images": 8,
            }  # fmt: skip
            recording.record_result(db, run, result)
        set_state(db, run, state)
        return run

    return do


def metric(step: int) -> dict[str, Any]:
    return {
        "step": step, "epoch": 0, "loss": 1 / step, "win": -step / 9, "lose": step / 10,
        "accuracy": 0.75, "grad_norm": 0.1, "lr": 1e-4, "images_per_second": 20.0, "memory_mb": 800,
        "time": 1000.0 + step,
    }  # fmt: skip


def picture(path: Path) -> None:
    out = BytesIO()
    Image.new("RGB", (8, 8), "grey").save(out, "PNG")
    path.write_bytes(out.getvalue())


def set_state(db: Session, run: Run, state: str) -> None:
    """Bring a run's job into a state, as claim and finish would."""
    now = datetime.now(UTC)
    job = db.get_one(Job, run.job_id)
    job.state, job.attempt = state, 1
    job.lease_until = now if state in ("running", "cancelling") else None
    job.started_at = None if state == "queued" else now
    job.finished_at = now if state in ("succeeded", "failed", "cancelled") else None
    job.progress = {"done": 40, "total": 120, "message": "Step 40 of 120.", "eta_seconds": 4.0}
    job.error = "The <loss> is not finite." if state == "failed" else None
    db.commit()

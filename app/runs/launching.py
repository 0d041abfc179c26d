"""Launching a run: everything is checked before the job exists, so that no job starts to fail."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.datasets import freezing
from app.datasets.models import Dataset
from app.errors import Invalid, NotFound
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.projects.models import Project
from app.runs import base_models
from app.runs import options as _options
from app.runs.models import Run
from app.settings import settings

KINDS = {
    "sft": "SFT: stage 1, makes the expert",
    "cpo_s": "CPO-S: stage 2, stabilised",
    "cpo": "CPO: stage 2, as in Eq. 12",
}
STAGE_2 = ("cpo", "cpo_s")
NUM_PROMPTS = 4


@dataclass(frozen=True)
class Estimate:
    """How long a run will be. `seconds` is known where a run like it has finished before."""

    images: int
    steps: int
    seconds: float | None
    like: Run | None


def launch_run(
    db: Session,
    project: Project,
    *,
    kind: str,
    name: str,
    dataset_id: int,
    base_model: str,
    by: Person | None,
    expert_run_id: int | None = None,
    options: Mapping[str, object] | None = None,
    preset: str | None = None,
) -> Run:
    """Ask for a training run. `options` are config fields by dotted path, on top of a preset's values
    or else of the schema's defaults.

    Raises Invalid (for several options at once InvalidOptions) naming the field, before anything is
    written.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= 120:
        raise Invalid("Please give a name of up to 120 characters.", field="name")
    dataset = _ready_dataset(db, project, dataset_id)
    expert = _expert(db, project, kind, expert_run_id)
    config = compose_config(kind=kind, base_model=base_model, chosen=options or {}, preset=preset)
    if expert is not None and expert.config["model"]["path"] != config["model"]["path"]:
        raise Invalid(
            f"The expert adapts {base_models.model_name(expert.config['model']['path'])}; "
            "stage 2 needs the same base model.",
            field="base_model",
        )
    usable = count_images(dataset, kind, config["data"]["split"])
    if usable < 1:
        raise Invalid(
            "This dataset has no image to learn from.",
            field="dataset_id",
            hint="Stage 2 learns from training images with a negative attribute."
            if kind in STAGE_2
            else "All its images are validation or test images.",
        )
    if "samples.prompts" not in (options or {}) and not config["samples"]["prompts"]:
        config["samples"]["prompts"] = find_prompts(dataset)
    return _write_run(db, project, dataset, expert, kind=kind, name=name, config=config, by=by)


def compose_config(
    *, kind: str, base_model: str, chosen: Mapping[str, object], preset: str | None = None
) -> Json:
    """The config of a run without its places, checked. Raises Invalid."""
    _check_kind(kind)
    config = _options.preset_config(preset, kind) if preset else _options.defaults()
    for path, value in _options.check_options(chosen).items():
        _options.put(config, path, value)
    config["objective"]["kind"] = kind
    config["data"]["cache_folder"] = None
    config["model"]["path"] = base_models.model_path(base_model)
    _options.check_together(config, kind)
    return config


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise Invalid(f"There is no kind “{kind}”; there is {', '.join(KINDS)}.", field="kind")


def _ready_dataset(db: Session, project: Project, dataset_id: int) -> Dataset:
    try:
        dataset = freezing.get_dataset(db, project, dataset_id)
    except NotFound as error:
        raise Invalid(error.message, field="dataset_id") from error
    if dataset.manifest_sha256 is None:
        raise Invalid("This dataset is not ready yet.", field="dataset_id")
    if not (freezing.folder_of(dataset) / "manifest.json").is_file():
        raise Invalid(
            "The folder of this dataset is gone.", field="dataset_id", hint="Freeze another one."
        )
    return dataset


def _expert(db: Session, project: Project, kind: str, run_id: int | None) -> Run | None:
    _check_kind(kind)
    if kind not in STAGE_2:
        if run_id is not None:
            raise Invalid("SFT makes the expert and takes none.", field="expert_run_id")
        return None
    if run_id is None:
        raise Invalid("Stage 2 needs a finished SFT run as its expert.", field="expert_run_id")
    found = db.execute(
        select(Run, Job.state)
        .join(Job, Job.id == Run.job_id)
        .where(Run.id == run_id, Run.project_id == project.id)
    ).one_or_none()
    if found is None:
        raise Invalid("There is no such run in this project.", field="expert_run_id")
    run: Run = found[0]
    state: str = found[1]
    if run.kind != "sft":
        raise Invalid("The expert has to be an SFT run.", field="expert_run_id")
    if state != "succeeded" or run.result is None:
        raise Invalid(f"This SFT run has not finished; it is {state}.", field="expert_run_id")
    if not (folder_of(run) / str(run.result["adapter"])).is_file():
        raise Invalid("The adapter of this SFT run is gone.", field="expert_run_id")
    return run


def _write_run(
    db: Session,
    project: Project,
    dataset: Dataset,
    expert: Run | None,
    *,
    kind: str,
    name: str,
    config: Json,
    by: Person | None,
) -> Run:
    # Numbers are counted under a lock on the project, so that two leads get different ones.
    db.execute(select(Project.id).where(Project.id == project.id).with_for_update())
    last = db.scalar(select(func.max(Run.number)).where(Run.project_id == project.id))
    job = submit(db, project=project, kind="training", spec={}, by=by, queue="gpu")
    run = Run(
        project_id=project.id,
        number=(last or 0) + 1,
        name=name,
        kind=kind,
        job_id=job.id,
        dataset_id=dataset.id,
        expert_run_id=expert.id if expert else None,
        config={},
        folder="",
        created_by=by.id if by else None,
    )
    db.add(run)
    db.flush()
    job.spec = {"run_id": run.id}
    run.folder = f"{project.slug}-{run.number:04d}-{run.id}"
    run.config = _with_places(config, run, dataset, expert)
    db.flush()
    return run


def _with_places(config: Json, run: Run, dataset: Dataset, expert: Run | None) -> Json:
    places = {
        "run_folder": str(folder_of(run)),
        "dataset_folder": str(freezing.folder_of(dataset)),
        "expert": str(folder_of(expert) / "adapter") if expert else None,
    }
    return _options.in_order(config | places)


def folder_of(run: Run) -> Path:
    """Where a run's files lie."""
    return settings().runs_folder / run.folder


def config_to_run(db: Session, run: Run) -> Json:
    """A run's config with the places as they are now: the installation may have moved meanwhile."""
    expert = db.get_one(Run, run.expert_run_id) if run.expert_run_id else None
    return _with_places(run.config, run, db.get_one(Dataset, run.dataset_id), expert)


def count_images(dataset: Dataset, kind: str, split: str) -> int:
    """How many images of a dataset a run can learn from; for stage 2 an estimate, because images
    without a negative attribute are counted over all splits.
    """
    counts = dataset.counts
    chosen = int(counts.get("images" if split == "all" else split, 0))
    if kind not in STAGE_2 or not chosen:
        return chosen
    share = 1 - counts.get("without_negative", 0) / max(counts.get("images", 0), 1)
    return round(float(chosen * share))


def estimate(
    db: Session, project: Project, dataset: Dataset, kind: str, config: Mapping[str, Any]
) -> Estimate:
    """How many steps a config takes on a dataset, and how long by the newest run like it."""
    wanted = config["optimization"]
    num_images = count_images(dataset, kind, config["data"]["split"])
    per_step = wanted["batch_size"] * wanted["gradient_accumulation"]
    steps = wanted["max_steps"] or wanted["epochs"] * math.ceil(num_images / per_step)
    like = db.scalar(
        select(Run)
        .where(
            Run.project_id == project.id,
            Run.kind == kind,
            Run.result.is_not(None),
            Run.config["model"]["path"].as_string() == config["model"]["path"],
            Run.config["data"]["resolution"].as_integer() == config["data"]["resolution"],
        )
        .order_by(Run.id.desc())
        .limit(1)
    )
    rate = _options.get(like.result or {}, "final.images_per_second") if like else None
    return Estimate(
        images=num_images,
        steps=steps,
        seconds=steps * min(per_step, num_images) / rate if rate else None,
        like=like if rate else None,
    )


def find_prompts(dataset: Dataset, limit: int = NUM_PROMPTS) -> list[str]:
    """The first content prompts of the validation images, else of the test and training images."""
    found: dict[str, None] = {}
    for split in ("validation", "test", "train"):
        for prompt in _prompts(freezing.folder_of(dataset) / split / "examples.jsonl"):
            found[prompt] = None
            if len(found) == limit:
                return list(found)
    return list(found)


def _prompts(path: Path) -> Iterator[str]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            prompt = json.loads(line).get("prompt")
            if prompt and len(prompt) <= 4096:
                yield prompt

"""Launching a run: everything is checked before the job exists, so that no job starts to fail."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.datasets import freezing, pairing
from app.datasets.models import Dataset, PairDataset
from app.datasets.pairing import Generation
from app.errors import Invalid
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.projects.models import Project
from app.runs import base_models, places
from app.runs import options as _options
from app.runs.models import Run
from app.runs.options import PAIRED, TAUGHT
from app.settings import settings

KINDS = {
    "sft": "SFT: stage 1, makes the expert",
    "cpo_s": "CPO-S: stage 2, stabilised",
    "cpo": "CPO: stage 2, as in Eq. 12",
    "dpo": "Diffusion-DPO: from pairs of images",
    "npo": "NPO: from swapped pairs, for the negative branch",
    "spo": "SPO: candidates judged while sampling",
}
NUM_PROMPTS = 4


@dataclass(frozen=True)
class Chosen:
    """What a run is to learn from and whose weights it is to take, as ids; unchecked."""

    dataset_id: int | None = None
    pair_dataset_id: int | None = None
    expert_run_id: int | None = None
    start_run_id: int | None = None
    negative_run_id: int | None = None


@dataclass(frozen=True)
class Sources:
    """What a run learns from, and the runs whose weights it takes: each only where it is asked for."""

    dataset: Dataset | None = None
    pairs: PairDataset | None = None
    expert: Run | None = None
    start: Run | None = None
    negative: Run | None = None

    @property
    def data(self) -> Dataset | PairDataset:
        """What it learns from, whichever it is."""
        found = self.dataset or self.pairs
        assert found is not None
        return found


def launch_run(
    db: Session,
    project: Project,
    *,
    kind: str,
    name: str,
    base_model: str,
    by: Person | None,
    options: Mapping[str, object] | None = None,
    preset: str | None = None,
    dataset_id: int | None = None,
    pair_dataset_id: int | None = None,
    expert_run_id: int | None = None,
    start_run_id: int | None = None,
    negative_run_id: int | None = None,
) -> Run:
    """Ask for a training run. `options` are config fields by dotted path, on top of a preset's values
    or else of the schema's defaults.

    Raises Invalid (for several options at once InvalidOptions) naming the field, before anything is
    written.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= 120:
        raise Invalid("Please give a name of up to 120 characters.", field="name")
    chosen = Chosen(dataset_id, pair_dataset_id, expert_run_id, start_run_id, negative_run_id)
    _check_kind(kind)
    data = find_data(db, project, kind, chosen)
    config = compose_config(kind=kind, base_model=base_model, chosen=options or {}, preset=preset)
    sources = _add_runs(db, project, data, chosen, config)
    if count_examples(sources, config) < 1:
        raise _nothing_to_learn(kind)
    if "samples.prompts" not in (options or {}) and not config["samples"]["prompts"]:
        config["samples"]["prompts"] = find_prompts(sources)
    return _write_run(db, project, sources, kind=kind, name=name, config=config, by=by)


def compose_config(
    *, kind: str, base_model: str, chosen: Mapping[str, object], preset: str | None = None
) -> Json:
    """The config of a run without its places, checked. Raises Invalid.

    `teacher.cache_folder` is the cache of this installation where it is asked for; the other places
    are filled in when the run is written, and again when it starts.
    """
    _check_kind(kind)
    config = _options.preset_config(preset, kind) if preset else _options.defaults()
    values = _options.check_options(chosen)
    keeps = values.pop(_options.TEACHER_CACHE, False)
    for path, value in values.items():
        _options.put(config, path, value)
    config["objective"]["kind"] = kind
    config["data"]["cache_folder"] = None
    config["teacher"]["cache_folder"] = str(settings().training_cache_folder) if keeps else None
    config["theta"]["init_path"] = config["samples"]["negative"] = None
    config["model"]["path"] = base_models.model_path(base_model)
    _options.check_together(config, kind)
    return config


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise Invalid(f"There is no kind “{kind}”; there is {', '.join(KINDS)}.", field="kind")


# What it is made from -----------------------------------------------------------------------------


def find_data(db: Session, project: Project, kind: str, chosen: Chosen) -> Sources:
    """The dataset or pair dataset that a kind of run learns from. Raises Invalid."""
    if kind in PAIRED:
        if chosen.dataset_id is not None:
            raise Invalid(
                f"{kind.upper()} learns from a pair dataset and takes no dataset.",
                field="dataset_id",
            )
        return Sources(pairs=pairing.ready_pair_dataset(db, project, chosen.pair_dataset_id))
    if chosen.pair_dataset_id is not None:
        raise Invalid(
            "This kind learns from a dataset and takes no pair dataset.", field="pair_dataset_id"
        )
    return Sources(dataset=freezing.ready_dataset(db, project, chosen.dataset_id))


def _add_runs(
    db: Session, project: Project, data: Sources, chosen: Chosen, config: Json
) -> Sources:
    """Sources with the runs whose weights the config takes. Raises Invalid."""
    kind = config["objective"]["kind"]
    return Sources(
        dataset=data.dataset,
        pairs=data.pairs,
        expert=_find_expert(db, project, kind, chosen.expert_run_id, config),
        start=_find_start(db, project, chosen.start_run_id, config),
        negative=_find_negative(db, project, kind, chosen.negative_run_id, config),
    )


def _find_expert(
    db: Session, project: Project, kind: str, run_id: int | None, config: Json
) -> Run | None:
    field = "expert_run_id"
    if not _options.needs_expert(config, kind):
        if run_id is None:
            return None
        raise Invalid(
            "SFT makes the expert and takes none."
            if kind == "sft"
            else "This run takes no expert: neither its reference nor its start is one.",
            field=field,
        )
    if run_id is None:
        raise Invalid("This needs a finished SFT run as its expert.", field=field)
    run = _finished_run(db, project, run_id, field)
    if run.kind != "sft":
        raise Invalid("The expert has to be an SFT run.", field=field)
    is_whole = mode_of(run) == "full"
    if is_whole and config["theta"]["init"] == "sft" and config["theta"]["mode"] == "lora":
        raise Invalid(
            "This expert is a whole network, and an adapter cannot start as one.",
            field=field,
            hint="Choose theta.mode full, or another start.",
        )
    _check_base_model(run, config, "The expert")
    return run


def _find_start(db: Session, project: Project, run_id: int | None, config: Json) -> Run | None:
    field = "start_run_id"
    if config["theta"]["init"] != "path":
        if run_id is None:
            return None
        raise Invalid("Set theta.init to path to start from another run.", field=field)
    if run_id is None:
        raise Invalid("Please choose the finished run to start from.", field=field)
    run = _finished_run(db, project, run_id, field)
    mode = config["theta"]["mode"]
    if mode_of(run) != mode:
        raise Invalid(f"Theta is {mode} here; this run did not train that.", field=field)
    _check_base_model(run, config, "The run to start from")
    return run


def _find_negative(
    db: Session, project: Project, kind: str, run_id: int | None, config: Json
) -> Run | None:
    field = "negative_run_id"
    if run_id is None:
        return None
    if kind == "npo":
        raise Invalid("NPO makes the negative branch and takes none.", field=field)
    if config["theta"]["mode"] == "full" and config["scale"]["sharding"] == "fsdp":
        raise Invalid("Full fine-tuning with sharding cannot take a negative branch.", field=field)
    run = _finished_run(db, project, run_id, field)
    if run.kind != "npo":
        raise Invalid("The negative branch has to be an NPO run.", field=field)
    _check_base_model(run, config, "The NPO run")
    return run


def _finished_run(db: Session, project: Project, run_id: int, field: str) -> Run:
    found = db.execute(
        select(Run, Job.state)
        .join(Job, Job.id == Run.job_id)
        .where(Run.id == run_id, Run.project_id == project.id)
    ).one_or_none()
    if found is None:
        raise Invalid("There is no such run in this project.", field=field)
    run: Run = found[0]
    state: str = found[1]
    if state != "succeeded" or run.result is None:
        raise Invalid(f"This {run.kind} run has not finished; it is {state}.", field=field)
    if not (folder_of(run) / str(run.result["adapter"])).is_file():
        raise Invalid(f"The weights of this {run.kind} run are gone.", field=field)
    return run


def find_finished(
    db: Session, project: Project, *, kind: str | None = None, limit: int = 50
) -> Sequence[Run]:
    """Finished runs, newest first: what others can take the weights of."""
    query = (
        select(Run)
        .join(Job, Job.id == Run.job_id)
        .where(Run.project_id == project.id, Run.result.is_not(None), Job.state == "succeeded")
        .order_by(Run.id.desc())
        .limit(limit)
    )
    return db.scalars(query.where(Run.kind == kind) if kind else query).all()


def compose_generation(
    db: Session, project: Project, *, base_model: str, run_id: int | None, **numbers: Any
) -> Generation:
    """How images for pairs are generated, checked: by a base model, or by a finished run on it.

    Raises Invalid.
    """
    path = base_models.model_path(base_model)
    if run_id is not None:
        run = _finished_run(db, project, run_id, "run_id")
        _check_base_model(run, {"model": {"path": path}}, "The run that is to generate")
    return Generation(base_model=path, run_id=run_id, **numbers)


def _check_base_model(run: Run, config: Json, what: str) -> None:
    if run.config["model"]["path"] != config["model"]["path"]:
        raise Invalid(
            f"{what} adapts {base_models.model_name(run.config['model']['path'])}; "
            "this run needs the same base model.",
            field="base_model",
        )


def sources_of(db: Session, run: Run) -> Sources:
    """What a run that exists learns from and whose weights it takes."""

    def other(run_id: int | None) -> Run | None:
        return db.get_one(Run, run_id) if run_id else None

    return Sources(
        dataset=db.get_one(Dataset, run.dataset_id) if run.dataset_id else None,
        pairs=db.get_one(PairDataset, run.pair_dataset_id) if run.pair_dataset_id else None,
        expert=other(run.expert_run_id),
        start=other(run.start_run_id),
        negative=other(run.negative_run_id),
    )


# Writing it ---------------------------------------------------------------------------------------


def _write_run(
    db: Session,
    project: Project,
    sources: Sources,
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
        dataset_id=sources.dataset.id if sources.dataset else None,
        pair_dataset_id=sources.pairs.id if sources.pairs else None,
        expert_run_id=sources.expert.id if sources.expert else None,
        start_run_id=sources.start.id if sources.start else None,
        negative_run_id=sources.negative.id if sources.negative else None,
        config={},
        folder="",
        created_by=by.id if by else None,
    )
    db.add(run)
    db.flush()
    job.spec = {"run_id": run.id}
    run.folder = f"{project.slug}-{run.number:04d}-{run.id}"
    run.config = _with_places(config, run, sources)
    db.flush()
    return run


def _with_places(config: Json, run: Run, sources: Sources) -> Json:
    cache = str(settings().training_cache_folder)
    config = _options.completed(config) | {
        "run_folder": str(folder_of(run)),
        "dataset_folder": str(freezing.folder_of(sources.dataset)) if sources.dataset else None,
        "pairs_folder": str(pairing.folder_of(sources.pairs)) if sources.pairs else None,
        "expert": weights_of(sources.expert) if sources.expert else None,
    }
    config["data"]["cache_folder"] = cache
    is_kept = _options.get(config, "teacher.cache_folder")
    config["teacher"]["cache_folder"] = cache if is_kept else None
    config["theta"]["init_path"] = weights_of(sources.start) if sources.start else None
    config["samples"]["negative"] = weights_of(sources.negative) if sources.negative else None
    return _options.in_order(config)


def weights_of(run: Run) -> str:
    """Where the trainer reads the weights of a finished run: its adapter's folder, or the run's own."""
    is_adapter = mode_of(run) == "lora"
    return str(folder_of(run) / "adapter" if is_adapter else folder_of(run))


def mode_of(run: Run) -> str:
    """What a run has trained: lora or full. Configs of the first release do not say it."""
    return str(_options.get(run.config, "theta.mode", "lora"))


def folder_of(run: Run) -> Path:
    """Where a run's files lie."""
    return settings().runs_folder / run.folder


def config_to_run(db: Session, run: Run) -> Json:
    """A run's config with the places as they are now: the installation may have moved meanwhile.

    Raises Invalid where the operator no longer names a place that the run was launched with.
    """
    config = _with_places(run.config, run, sources_of(db, run))
    for path in places.PLACES:
        if name := _options.get(config, path):
            _options.put(config, path, places.place_of(path, str(name)))
    return config


# What there is to learn from ----------------------------------------------------------------------


def count_examples(sources: Sources, config: Mapping[str, Any]) -> int:
    """How many images or pairs a run can learn from: of its split, with something to learn from, and
    of those the share it asks for. For stage 2 an estimate, because images without a negative attribute
    are counted over all splits.
    """
    usable = count_in_split(sources, config) - count_skipped(sources, config)
    return max(1, round(usable * config["data"]["share"])) if usable else 0


def count_in_split(sources: Sources, config: Mapping[str, Any]) -> int:
    """How many images or pairs there are in the split."""
    split = config["data"]["split"]
    if split == "all":
        split = "pairs" if sources.pairs else "images"
    return int(sources.data.counts.get(split, 0))


def count_skipped(sources: Sources, config: Mapping[str, Any]) -> int:
    """How many images of the split stage 2 skips, because they have no negative attribute."""
    if config["objective"]["kind"] not in TAUGHT or config["text"]["empty_neg"] != "skip":
        return 0
    counts = sources.data.counts
    share = counts.get("without_negative", 0) / max(counts.get("images", 0), 1)
    return round(float(count_in_split(sources, config) * share))


def _nothing_to_learn(kind: str) -> Invalid:
    if kind in PAIRED:
        return Invalid(
            "This pair dataset has no pair to learn from.",
            field="pair_dataset_id",
            hint="All its pairs are for validation or test.",
        )
    return Invalid(
        "This dataset has no image to learn from.",
        field="dataset_id",
        hint="Stage 2 learns from training images with a negative attribute."
        if kind in TAUGHT
        else "All its images are validation or test images.",
    )


def find_prompts(sources: Sources, limit: int = NUM_PROMPTS) -> list[str]:
    """The first content prompts of the validation images or pairs, else of test and training."""
    data = sources.data
    if isinstance(data, PairDataset):
        folder, name = pairing.folder_of(data), "pairs.jsonl"
    else:
        folder, name = freezing.folder_of(data), "examples.jsonl"
    found: dict[str, None] = {}
    for split in ("validation", "test", "train"):
        for prompt in _prompts(folder / split / name):
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

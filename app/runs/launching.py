"""Launching a run: everything is checked before the job exists, so that no job starts to fail."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.datasets import freezing, pairing
from app.datasets.models import Dataset, PairDataset
from app.datasets.pairing import Generation
from app.errors import Invalid
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.projects.models import Project
from app.runs import base_models, places
from app.runs.models import Run
from app.runs.options import TEACHER_CACHE, check_options, checking, starting_config
from app.settings import settings
from method import dataset_folder, pair_folder
from method.objectives import OBJECTIVES, Facts
from method.run_folder import weights_place
from method.saved_texts import one_line
from method.training.config import Config
from method.training.config_checks import refuse_unread
from method.training.config_fields import all_fields, changed
from method.training.config_reading import read_saved, to_dict

NUM_PROMPTS = 4
# Longer ones are no sample prompts for the trainer.
LONGEST_PROMPT = 4096
# Stand for what is only known when the sources are.
EXPERT, START = "expert", "start"


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
    name = one_line(name)
    if not 1 <= len(name) <= 120:
        raise Invalid("Please give a name of up to 120 characters.", field="name")
    chosen = Chosen(dataset_id, pair_dataset_id, expert_run_id, start_run_id, negative_run_id)
    data = find_data(db, project, kind, chosen)
    config = compose_config(kind=kind, base_model=base_model, chosen=options or {}, preset=preset)
    sources = _add_runs(db, project, data, chosen, config)
    if count_examples(sources, config) < 1:
        raise _nothing_to_learn(facts_of(kind))
    if "samples.prompts" not in (options or {}) and not config.samples.prompts:
        config = changed(config, {"samples.prompts": tuple(find_prompts(sources))})
    with checking():
        config = _with_places(config, sources)
        refuse_unread(config)
    return _write_run(db, project, sources, name=name, config=config, by=by)


def compose_config(
    *, kind: str, base_model: str, chosen: Mapping[str, object], preset: str | None = None
) -> Config:
    """The config of a run, checked. Raises Invalid.

    `teacher.cache_folder` is the cache of this installation where it is asked for; the places of data and
    other runs are placeholders, filled in when they are found, and again when the run starts.
    """
    facts_of(kind)
    values = check_options(chosen)
    keeps = values.pop(TEACHER_CACHE, False)
    start = starting_config(preset, kind)
    init = values.get("theta.init", start.theta.init)
    wants = init, values.get("objective.reference", start.objective.reference)
    takes_expert = OBJECTIVES[kind].needs_expert or (
        "sft" in wants and not OBJECTIVES[kind].makes_expert
    )
    values |= {
        "data.cache_folder": None,
        "teacher.cache_folder": str(settings().training_cache_folder) if keeps else None,
        "theta.init_path": START if init == "path" else None,
        "samples.negative": None,
        "expert": EXPERT if takes_expert else None,
        "model.path": base_models.model_path(base_model),
    }
    with checking():
        return changed(start, values)


def facts_of(kind: str) -> Facts:
    """What a kind of run is. Raises Invalid for one that is not there."""
    if kind not in OBJECTIVES:
        raise Invalid(f"There is no kind “{kind}”; there is {', '.join(OBJECTIVES)}.", field="kind")
    return OBJECTIVES[kind]


# What it is made from -----------------------------------------------------------------------------


def find_data(db: Session, project: Project, kind: str, chosen: Chosen) -> Sources:
    """The dataset or pair dataset that a kind of run learns from. Raises Invalid."""
    if facts_of(kind).reads_pairs:
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
    db: Session, project: Project, data: Sources, chosen: Chosen, config: Config
) -> Sources:
    """Sources with the runs whose weights the config takes. Raises Invalid."""
    return Sources(
        dataset=data.dataset,
        pairs=data.pairs,
        expert=_find_expert(db, project, chosen.expert_run_id, config),
        start=_find_start(db, project, chosen.start_run_id, config),
        negative=_find_negative(db, project, chosen.negative_run_id, config),
    )


def _find_expert(db: Session, project: Project, run_id: int | None, config: Config) -> Run | None:
    field = "expert_run_id"
    if not config.needs_expert:
        if run_id is None:
            return None
        raise Invalid(
            "SFT makes the expert and takes none."
            if config.objective.facts.makes_expert
            else "This run takes no expert: neither its reference nor its start is one.",
            field=field,
        )
    if run_id is None:
        raise Invalid("This needs a finished SFT run as its expert.", field=field)
    run = _finished_run(db, project, run_id, field)
    if not OBJECTIVES[run.kind].makes_expert:
        raise Invalid("The expert has to be an SFT run.", field=field)
    is_whole = mode_of(run) == "full"
    if is_whole and config.theta.init == "sft" and config.theta.mode == "lora":
        raise Invalid(
            "This expert is a whole network, and an adapter cannot start as one.",
            field=field,
            hint="Choose theta.mode full, or another start.",
        )
    _check_base_model(run, config.model.path, "The expert")
    return run


def _find_start(db: Session, project: Project, run_id: int | None, config: Config) -> Run | None:
    field = "start_run_id"
    if config.theta.init != "path":
        if run_id is None:
            return None
        raise Invalid("Set theta.init to path to start from another run.", field=field)
    if run_id is None:
        raise Invalid("Please choose the finished run to start from.", field=field)
    run = _finished_run(db, project, run_id, field)
    if mode_of(run) != config.theta.mode:
        raise Invalid(
            f"Theta is {config.theta.mode} here; this run did not train that.", field=field
        )
    _check_base_model(run, config.model.path, "The run to start from")
    return run


def _find_negative(db: Session, project: Project, run_id: int | None, config: Config) -> Run | None:
    field = "negative_run_id"
    if run_id is None:
        return None
    if config.objective.facts.makes_negative:
        raise Invalid("NPO makes the negative branch and takes none.", field=field)
    run = _finished_run(db, project, run_id, field)
    if not OBJECTIVES[run.kind].makes_negative:
        raise Invalid("The negative branch has to be an NPO run.", field=field)
    _check_base_model(run, config.model.path, "The NPO run")
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
    db: Session, project: Project, *, of: Callable[[Facts], bool] = lambda _: True, limit: int = 50
) -> Sequence[Run]:
    """Finished runs of such objectives, newest first: what others can take the weights of."""
    return db.scalars(
        select(Run)
        .join(Job, Job.id == Run.job_id)
        .where(
            Run.project_id == project.id,
            Run.kind.in_([kind for kind, facts in OBJECTIVES.items() if of(facts)]),
            Run.result.is_not(None),
            Job.state == "succeeded",
        )
        .order_by(Run.id.desc())
        .limit(limit)
    ).all()


def compose_generation(
    db: Session, project: Project, *, base_model: str, run_id: int | None, **numbers: Any
) -> Generation:
    """How images for pairs are generated, checked: by a base model, or by a finished run on it.

    Raises Invalid.
    """
    path = base_models.model_path(base_model)
    if run_id is not None:
        run = _finished_run(db, project, run_id, "run_id")
        _check_base_model(run, path, "The run that is to generate")
    return Generation(base_model=path, run_id=run_id, **numbers)


def _check_base_model(run: Run, path: str, what: str) -> None:
    if model_of(run) != path:
        raise Invalid(
            f"{what} adapts {base_models.model_name(model_of(run))}; "
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
    name: str,
    config: Config,
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
        kind=config.objective.kind,
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
    run.config = to_dict(replace(config, run_folder=str(folder_of(run))))
    db.flush()
    return run


def _with_places(config: Config, sources: Sources) -> Config:
    """The config with the places of what it is made from. Raises InvalidConfig where they do not go together."""
    cache = str(settings().training_cache_folder)
    return changed(
        config,
        {
            "dataset_folder": str(freezing.folder_of(sources.dataset)) if sources.dataset else None,
            "pairs_folder": str(pairing.folder_of(sources.pairs)) if sources.pairs else None,
            "expert": weights_of(sources.expert) if sources.expert else None,
            "data.cache_folder": cache,
            "teacher.cache_folder": cache if config.teacher.cache_folder else None,
            "theta.init_path": weights_of(sources.start) if sources.start else None,
            "samples.negative": weights_of(sources.negative) if sources.negative else None,
        },
    )


def weights_of(run: Run) -> str:
    """Where the trainer reads the weights of a finished run: its adapter's folder, or the run's own."""
    return str(weights_place(folder_of(run), mode_of(run)))


def mode_of(run: Run) -> str:
    """What a run has trained: lora or full. Configs of the first release do not say it."""
    return str(run.config.get("theta", {}).get("mode", "lora"))


def model_of(run: Run) -> str:
    """The base model of a run: its folder, or its hub id."""
    return str(run.config["model"]["path"])


def folder_of(run: Run) -> Path:
    """Where a run's files lie."""
    return settings().runs_folder / run.folder


def config_of(run: Run) -> Config:
    """The config that a run was launched with. Raises InvalidOptions where it cannot be taken any more."""
    with checking():
        return read_saved(run.config)


def config_to_run(db: Session, run: Run) -> Config:
    """A run's config with the places as they are now: the installation may have moved meanwhile.

    Raises Invalid where it cannot be taken any more, or the operator no longer names a place that the run was
    launched with.
    """
    config = config_of(run)
    named = {path: all_fields()[path].of(config) for path in places.PLACES}
    found = {path: places.place_of(path, name) for path, name in named.items() if name}
    with checking():
        config = _with_places(config, sources_of(db, run))
        return changed(config, found | {"run_folder": str(folder_of(run))})


# What there is to learn from ----------------------------------------------------------------------


def count_examples(sources: Sources, config: Config) -> int:
    """How many images or pairs a run can learn from: of its split, with something to learn from, and
    of those the share it asks for. For stage 2 an estimate, because images without a negative attribute
    are counted over all splits.
    """
    usable = count_in_split(sources, config) - count_skipped(sources, config)
    return max(1, round(usable * config.data.share)) if usable else 0


def count_in_split(sources: Sources, config: Config) -> int:
    """How many images or pairs there are in the split."""
    split: str = config.data.split
    if split == "all":
        split = "pairs" if sources.pairs else "images"
    return int(sources.data.counts.get(split, 0))


def count_skipped(sources: Sources, config: Config) -> int:
    """How many images of the split stage 2 skips, because they have no negative attribute."""
    if not config.objective.facts.needs_expert or config.text.empty_neg != "skip":
        return 0
    counts = sources.data.counts
    share = counts.get("without_negative", 0) / max(counts.get("images", 0), 1)
    return round(float(count_in_split(sources, config) * share))


def _nothing_to_learn(facts: Facts) -> Invalid:
    if facts.reads_pairs:
        return Invalid(
            "This pair dataset has no image pair to learn from.",
            field="pair_dataset_id",
            hint="All its image pairs are for validation or test.",
        )
    return Invalid(
        "This dataset has no image to learn from.",
        field="dataset_id",
        hint="Stage 2 learns from training images with a negative attribute."
        if facts.needs_expert
        else "All its images are validation or test images.",
    )


def find_prompts(sources: Sources, limit: int = NUM_PROMPTS) -> list[str]:
    """The first content prompts of the validation images or pairs, else of test and training."""
    data = sources.data
    if isinstance(data, PairDataset):
        folder, read = pairing.folder_of(data), pair_folder.prompts
    else:
        folder, read = freezing.folder_of(data), dataset_folder.prompts
    found: dict[str, None] = {}
    for split in ("validation", "test", "train"):
        for prompt in read(folder, split):
            if len(prompt) <= LONGEST_PROMPT:
                found[prompt] = None
            if len(found) == limit:
                return list(found)
    return list(found)

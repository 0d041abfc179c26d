"""What the launch form shows at first: a preset's values, or those of another run."""

from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.datasets import freezing, pairing
from app.errors import Invalid, NotFound
from app.projects.models import Project
from app.runs import base_models, launching, options, reading
from app.runs.models import Run
from app.runs.option_values import as_text
from method.objectives import OBJECTIVES, Facts
from method.training.config import Config
from method.training.presets import PRESETS

# What the form chooses besides kind, preset, options, base model and name.
IDS = ("dataset_id", "pair_dataset_id", "expert_run_id", "start_run_id", "negative_run_id")


def prefill(
    db: Session,
    project: Project,
    *,
    clone: str = "",
    kind: str = "",
    preset: str = "",
    base_model: str = "",
    name: str = "",
    ids: Mapping[str, str],
) -> dict[str, object]:
    """The form's fields as text; `ids` are those of IDS that are chosen already.

    Raises NotFound for a run to clone that is not there.
    """
    origin = _origin(db, project, clone)
    if kind not in OBJECTIVES:
        kind = origin.kind if origin else _kind_for(ids)
    if preset not in options.presets():
        preset = "" if origin else next(iter(options.presets()))
    config = (
        launching.config_of(origin)
        if origin and not preset
        else options.starting_config(preset, kind)
    )
    chosen = {field: ids.get(field, "") for field in IDS}
    if origin is not None:
        chosen = {f: value or str(getattr(origin, f) or "") for f, value in chosen.items()}
    _fill_in(db, project, config, chosen)
    return {
        **typed_values(config),
        **chosen,
        "kind": kind,
        "preset": preset,
        "base_model": base_model
        or _base_model(db, project, origin, chosen["expert_run_id"], preset),
        "name": name or _name(db, project, kind, origin),
    }


def typed_values(config: Config) -> dict[str, object]:
    """A config's options as text, by dotted path."""
    typed: dict[str, object] = {
        path: as_text(option.field.of(config))
        for path, option in options.options().items()
        if path not in options.OWN
    }
    is_kept = config.teacher.cache_folder is not None
    return typed | {options.TEACHER_CACHE: as_text(is_kept)}


def _origin(db: Session, project: Project, clone: str) -> Run | None:
    if not clone:
        return None
    return reading.get_run(db, project, reading.as_id(clone) or 0)


def _kind_for(ids: Mapping[str, str]) -> str:
    """The first kind of run that takes what is chosen already."""

    def takes(facts: Facts) -> bool:
        if ids.get("pair_dataset_id"):
            return facts.reads_pairs
        return facts.needs_expert if ids.get("expert_run_id") else facts.makes_expert

    return next(kind for kind, facts in OBJECTIVES.items() if takes(facts))


def _fill_in(db: Session, project: Project, config: Config, chosen: dict[str, str]) -> None:
    """The newest of what the kind needs where nothing is chosen, and nothing of what it does not."""
    if config.objective.facts.reads_pairs:
        chosen["dataset_id"] = ""
        newest = [str(each.id) for each in pairing.find_ready(db, project, limit=1)]
        chosen["pair_dataset_id"] = chosen["pair_dataset_id"] or next(iter(newest), "")
    else:
        chosen["pair_dataset_id"] = ""
        newest = [str(each.id) for each in freezing.find_ready(db, project, limit=1)]
        chosen["dataset_id"] = chosen["dataset_id"] or next(iter(newest), "")
    if not config.needs_expert:
        chosen["expert_run_id"] = ""
    elif not chosen["expert_run_id"]:
        experts = launching.find_finished(db, project, of=lambda facts: facts.makes_expert)
        chosen["expert_run_id"] = next((str(run.id) for run in experts), "")


def _base_model(db: Session, project: Project, origin: Run | None, expert: str, preset: str) -> str:
    """The expert's model where there is one, because it has to be the same one."""
    model = origin
    if expert:
        with suppress(NotFound):
            model = reading.get_run(db, project, reading.as_id(expert) or 0)
    if model is not None:
        return base_models.model_name(launching.model_of(model))
    fitting = PRESETS[preset].base_model
    try:
        base_models.model_path(fitting)
    except Invalid:
        return ""
    return fitting


def _name(db: Session, project: Project, kind: str, origin: Run | None) -> str:
    if origin is not None:
        return f"{origin.name}, again"[:120]
    number = db.scalar(select(func.count()).where(Run.project_id == project.id, Run.kind == kind))
    return f"{kind.upper().replace('_', '-')} {(number or 0) + 1}"

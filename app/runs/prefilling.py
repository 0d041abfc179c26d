"""What the launch form shows at first: a preset's values, or those of another run."""

from collections.abc import Mapping
from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.database import Json
from app.datasets import freezing, pairing
from app.errors import Invalid, NotFound
from app.projects.models import Project
from app.runs import base_models, launching, options, reading
from app.runs.models import Run
from app.runs.option_values import as_text
from app.runs.options import PAIRED

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
    if kind not in launching.KINDS:
        kind = origin.kind if origin else _kind_for(ids)
    if preset not in options.presets():
        preset = "" if origin else next(iter(options.presets()))
    config = origin.config if origin and not preset else options.preset_config(preset, kind)
    chosen = {field: ids.get(field, "") for field in IDS}
    if origin is not None:
        chosen = {f: value or str(getattr(origin, f) or "") for f, value in chosen.items()}
    _fill_in(db, project, kind, config, chosen)
    return {
        **typed_values(config),
        **chosen,
        "kind": kind,
        "preset": preset,
        "base_model": base_model
        or _base_model(db, project, origin, chosen["expert_run_id"], preset),
        "name": name or _name(db, project, kind, origin),
    }


def typed_values(config: Json) -> dict[str, object]:
    """A config's options as text, by dotted path."""
    typed: dict[str, object] = {
        path: as_text(options.get(config, path, option.schema.get("default")))
        for path, option in options.options().items()
    }
    is_kept = bool(options.get(config, "teacher.cache_folder"))
    return typed | {options.TEACHER_CACHE: as_text(is_kept)}


def _origin(db: Session, project: Project, clone: str) -> Run | None:
    if not clone:
        return None
    return reading.get_run(db, project, reading.as_id(clone) or 0)


def _kind_for(ids: Mapping[str, str]) -> str:
    if ids.get("pair_dataset_id"):
        return "dpo"
    return "cpo_s" if ids.get("expert_run_id") else "sft"


def _fill_in(
    db: Session, project: Project, kind: str, config: Json, chosen: dict[str, str]
) -> None:
    """The newest of what the kind needs where nothing is chosen, and nothing of what it does not."""
    if kind in PAIRED:
        chosen["dataset_id"] = ""
        newest = [str(each.id) for each in pairing.find_ready(db, project, limit=1)]
        chosen["pair_dataset_id"] = chosen["pair_dataset_id"] or next(iter(newest), "")
    else:
        chosen["pair_dataset_id"] = ""
        newest = [str(each.id) for each in freezing.find_ready(db, project, limit=1)]
        chosen["dataset_id"] = chosen["dataset_id"] or next(iter(newest), "")
    if not options.needs_expert(config, kind):
        chosen["expert_run_id"] = ""
    elif not chosen["expert_run_id"]:
        experts = reading.find_experts(db, project)
        chosen["expert_run_id"] = next((str(run.id) for run in experts), "")


def _base_model(db: Session, project: Project, origin: Run | None, expert: str, preset: str) -> str:
    """The expert's model where there is one, because it has to be the same one."""
    model = origin
    if expert:
        with suppress(NotFound):
            model = reading.get_run(db, project, reading.as_id(expert) or 0)
    if model is not None:
        return base_models.model_name(model.config["model"]["path"])
    fitting = options.preset_model(preset)
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

"""What the launch form shows at first: a preset's values, or those of another run."""

from contextlib import suppress

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.datasets import freezing
from app.errors import Invalid, NotFound
from app.projects.models import Project
from app.runs import base_models, launching, options, reading
from app.runs.models import Run


def prefill(
    db: Session,
    project: Project,
    *,
    clone: str,
    kind: str,
    preset: str,
    dataset: str,
    expert: str,
    base_model: str,
    name: str,
) -> dict[str, object]:
    """The form's fields as text. Raises NotFound for a run to clone that is not there."""
    origin = _origin(db, project, clone)
    if kind not in launching.KINDS:
        kind = origin.kind if origin else "cpo_s" if expert else "sft"
    if preset not in options.presets():
        preset = "" if origin else next(iter(options.presets()))
    config = origin.config if origin and not preset else options.preset_config(preset, kind)
    typed: dict[str, object] = {
        path: options.as_text(options.get(config, path, option.schema.get("default")))
        for path, option in options.options().items()
    }
    if kind in launching.STAGE_2 and not expert:
        expert = str(origin.expert_run_id or "") if origin else ""
        expert = expert or next((str(run.id) for run in reading.find_experts(db, project)), "")
    if not dataset:
        ready = freezing.find_ready(db, project, limit=1)
        dataset = str(origin.dataset_id if origin else ready[0].id if ready else "")
    return typed | {
        "kind": kind,
        "preset": preset,
        "dataset_id": dataset,
        "expert_run_id": expert if kind in launching.STAGE_2 else "",
        "base_model": base_model or _base_model(db, project, origin, expert, preset),
        "name": name or _name(db, project, kind, origin),
    }


def _origin(db: Session, project: Project, clone: str) -> Run | None:
    if not clone:
        return None
    return reading.get_run(db, project, reading.as_id(clone) or 0)


def _base_model(db: Session, project: Project, origin: Run | None, expert: str, preset: str) -> str:
    """The expert's model for stage 2, because it has to be the same one."""
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

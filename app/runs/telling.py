"""Whether a run works, in words: what its winning part says, and what its expert knows of attributes."""

import json

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.projects.models import Project
from app.runs.launching import folder_of
from app.runs.models import Run, RunMetric
from method.objectives import OBJECTIVES
from method.run_folder import EXAMINATION
from method.training.examination import Examination, read_examination
from method.training.winning import MOST_ROWS, Winning, read_winning

DEFAULT_OMEGA = 2.0
"""What configs of earlier releases mean that do not say one."""


def find_winning(db: Session, run: Run) -> Winning | None:
    """What the newest logged steps of a stage 2 run say; None for other kinds, and while there are too few."""
    facts = OBJECTIVES[run.kind]
    if not facts.needs_expert:
        return None
    newest = db.scalars(
        select(RunMetric.values)
        .where(RunMetric.run_id == run.id)
        .order_by(RunMetric.step.desc())
        .limit(MOST_ROWS)
    ).all()
    objective = run.config.get("objective", {})
    omega_w, omega_l = (
        float(objective.get(name, DEFAULT_OMEGA)) for name in ("omega_w", "omega_l")
    )
    return read_winning(newest[::-1], (omega_w, omega_l) if facts.is_guided else None)


def examination_of(run: Run) -> Examination | None:
    """What the expert that a run makes or learns from knows of attributes.

    A run that has not finished, or was examined by `morelli examine` afterwards, has it in its folder only.
    """
    found = read_examination((run.result or {}).get("examination"))
    if found is not None:
        return found
    try:
        text = (folder_of(run) / EXAMINATION).read_text(encoding="utf-8")
        return read_examination(json.loads(text))
    except (OSError, ValueError):
        return None


def find_expert(db: Session, project: Project, run_id: int | None) -> Run | None:
    """A run of the project that was chosen as an expert, and makes one; None else."""
    if run_id is None:
        return None
    makers = [kind for kind, facts in OBJECTIVES.items() if facts.makes_expert]
    return db.scalar(
        select(Run).where(Run.id == run_id, Run.project_id == project.id, Run.kind.in_(makers))
    )

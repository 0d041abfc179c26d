"""Which audit speaks for labels under a criteria version: what a dataset's page shows beside its numbers."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audits.gathering import gather_answers
from app.audits.models import Audit
from app.audits.scoring import Score, score
from app.projects.models import Project


@dataclass(frozen=True, slots=True)
class Vouching:
    """A closed audit with its overall score; `is_same_version` where it used the words of the criteria version."""

    audit: Audit
    score: Score
    is_same_version: bool


def find_vouching(db: Session, project: Project, version_id: int) -> Vouching | None:
    """The newest closed audit under this criteria version, else the newest closed one of the project."""
    audit = db.scalar(
        select(Audit)
        .where(Audit.project_id == project.id, Audit.state == "closed", ~Audit.is_simulated)
        .order_by((Audit.version_id == version_id).desc(), Audit.id.desc())
        .limit(1)
    )
    if audit is None:
        return None
    found = score(gather_answers(db, audit).answers)
    return Vouching(audit, found, audit.version_id == version_id)

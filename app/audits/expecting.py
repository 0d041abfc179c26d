"""What is to be expected of an audit, from the one before it."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audits.gathering import gather_answers
from app.audits.models import Audit
from app.audits.planning import USUAL_BETWEEN_IMAGES, USUAL_BETWEEN_PEOPLE, Design, between
from app.projects.models import Project


def expect(
    db: Session, project: Project, *, accuracy: float, labels: float, people: int, judges: int
) -> Design:
    """A design whose shares of variance are those of the project's newest closed audit, where that says enough."""
    audit = db.scalar(
        select(Audit)
        .where(Audit.project_id == project.id, Audit.state == "closed", ~Audit.is_simulated)
        .order_by(Audit.id.desc())
        .limit(1)
    )
    known = between(gather_answers(db, audit).answers) if audit else None
    images, participants = known or (USUAL_BETWEEN_IMAGES, USUAL_BETWEEN_PEOPLE)
    return Design(accuracy, labels, people, judges, images, participants)

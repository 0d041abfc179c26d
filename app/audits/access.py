"""Loads an audit through its project, and holds it and a participant still."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from app.audits.models import Audit
from app.criteria.models import CriteriaVersion
from app.criteria.reading import version_criteria
from app.errors import Conflict, NotFound
from app.participants import access
from app.participants.instruments import Instrument
from app.participants.models import Participant
from app.projects.models import Project
from taxonomy.tree import Criteria, Polarity


@dataclass(frozen=True, slots=True)
class AuditCriteria:
    number: int
    sha256: str
    tree: Criteria


def as_polarity(text: str) -> Polarity:
    """A stored polarity as the tree names it; the table allows no other."""
    return "positive" if text == "positive" else "negative"


def get_audit(db: Session, project: Project, audit_id: int, *, lock: bool = False) -> Audit:
    """An audit of this project. `lock` makes those who change it wait for one another.

    Raises NotFound for another project's audit too.
    """
    found = select(Audit).where(Audit.id == audit_id, Audit.project_id == project.id)
    if lock:
        found = found.with_for_update().execution_options(populate_existing=True)
    audit = db.scalar(found)
    if audit is None:
        raise NotFound(f"There is no audit {audit_id} in this project.")
    return audit


def get_audit_criteria(db: Session, audit: Audit) -> AuditCriteria:
    """The criteria version whose words the audit uses."""
    # The content is some 200 KB and is parsed once per process.
    version = db.scalars(
        select(CriteriaVersion)
        .where(CriteriaVersion.id == audit.version_id)
        .options(defer(CriteriaVersion.content))
    ).one()
    return AuditCriteria(version.number, version.sha256, version_criteria(version))


def instrument(audit: Audit) -> Instrument:
    """The audit as its participants' room knows it."""
    return Instrument(audit_id=audit.id)


def hold(db: Session, participant: Participant, *, alone: bool = False) -> Audit:
    """Lock the audit and the participant against being closed, revoked or finished meanwhile.

    `alone` also makes the participant's own requests wait for one another. Raises Conflict where
    the audit is closed, NotFound where the link was revoked in this moment.
    """
    audit = db.scalars(
        select(Audit)
        .where(Audit.id == participant.audit_id)
        .with_for_update(read=True)
        .execution_options(populate_existing=True)
    ).one()
    access.hold(db, participant, alone=alone)
    if audit.state == "closed":
        raise Conflict(
            "This audit is closed, so no more answers are taken.",
            hint="What you answered before is kept. Thank you.",
        )
    return audit

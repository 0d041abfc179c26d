"""Loads an audit through its project, and a participant through the token of their link."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session, defer

from app.accounts.signing_in import token_hash
from app.audits.models import Audit, AuditParticipant
from app.criteria.models import CriteriaVersion
from app.criteria.reading import version_criteria
from app.errors import Conflict, NotFound
from app.projects.models import Project
from taxonomy.tree import Criteria, Polarity


@dataclass(frozen=True, slots=True)
class AuditCriteria:
    """The criteria version of an audit, with its tree."""

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


def get_participant(db: Session, token: str) -> AuditParticipant:
    """Who came in through this link. Raises NotFound, with the same words, for unknown and revoked."""
    participant = db.scalar(
        select(AuditParticipant).where(
            AuditParticipant.token_hash == token_hash(token), AuditParticipant.revoked_at.is_(None)
        )
    )
    if participant is None:
        raise NotFound(
            "This link does not lead to an audit, or it was withdrawn.",
            hint="Check that the whole link was copied, or ask whoever sent it for a new one.",
        )
    return participant


def hold(db: Session, participant: AuditParticipant, *, alone: bool = False) -> Audit:
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
    db.refresh(participant, with_for_update=True if alone else {"read": True})
    if participant.revoked_at is not None:
        raise NotFound("This link was withdrawn.")
    if audit.state == "closed":
        raise Conflict(
            "This audit is closed, so no more answers are taken.",
            hint="What you answered before is kept. Thank you.",
        )
    return audit

"""What audits say of each attribute, over all of a project's audits."""

from sqlalchemy import func, select, true
from sqlalchemy.orm import Session

from app.audits.models import Audit, AuditItem, Judgement
from app.criteria.models import Node
from app.participants.models import Participant
from app.participants.progress import counted
from app.projects.models import Project
from taxonomy.tree import Side

AttributeVerdicts = dict[Side, tuple[int, int]]


def count_verdicts(
    db: Session, project: Project, *, closed_only: bool = False
) -> AttributeVerdicts:
    """By attribute: how many judgements say that it appears, and how many decide at all; one query.

    Decoys do not count, and "cannot tell" is no verdict. Attributes that nobody has decided about are left out.
    With `closed_only` so are audits that still take answers.
    """
    yes = func.count().filter(Judgement.answer == "appears")
    rows = db.execute(
        select(Node.key, AuditItem.polarity, yes, func.count())
        .join(AuditItem, AuditItem.id == Judgement.item_id)
        .join(Audit, Audit.id == AuditItem.audit_id)
        .join(Participant, Participant.id == Judgement.participant_id)
        .join(Node, Node.id == AuditItem.node_id)
        .where(
            Audit.project_id == project.id,
            AuditItem.kind == "label",
            ~Audit.is_simulated,
            counted(),
            Judgement.answer != "cannot_tell",
            true() if not closed_only else Audit.state == "closed",
        )
        .group_by(Node.key, AuditItem.polarity)
    )
    return {
        Side(key, "positive" if polarity == "positive" else "negative"): (appears, decided)
        for key, polarity, appears, decided in rows
    }

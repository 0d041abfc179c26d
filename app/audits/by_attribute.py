"""What audits say of each attribute, over all of a project's audits."""

from collections.abc import Iterable

from sqlalchemy import ARRAY, BigInteger, ColumnElement, any_, func, literal, select
from sqlalchemy.orm import Session

from app.audits.models import Audit, AuditItem, Judgement
from app.audits.scoring import Tally
from app.criteria.models import Node
from app.participants.models import Participant
from app.participants.progress import counted
from app.projects.models import Project
from taxonomy.tree import Side

AttributeVerdicts = dict[Side, tuple[int, int]]


def count_verdicts(db: Session, project: Project) -> AttributeVerdicts:
    """By attribute: how many judgements say that it appears, and how many decide at all; one query.

    Decoys do not count, and "cannot tell" is no verdict. Attributes that nobody has decided about are left out.
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
            counted(),
            Judgement.answer != "cannot_tell",
        )
        .group_by(Node.key, AuditItem.polarity)
    )
    return {
        Side(key, "positive" if polarity == "positive" else "negative"): (appears, decided)
        for key, polarity, appears, decided in rows
    }


def find_tallies_of(db: Session, project: Project, node_ids: Iterable[int]) -> list[Tally]:
    """Every label of these attribute pairs that participants of closed audits judged, with the answers
    counted; one query. Decoys are left out, and so are audits that still take answers.
    """
    wanted = literal(sorted(node_ids), ARRAY(BigInteger))

    def number(answer: str) -> ColumnElement[int]:
        return func.count().filter(Judgement.answer == answer)

    rows = db.execute(
        select(
            AuditItem.image_id,
            AuditItem.root_key,
            AuditItem.polarity,
            number("appears"),
            number("does_not_appear"),
            number("cannot_tell"),
        )
        .join(Audit, Audit.id == AuditItem.audit_id)
        .join(Judgement, Judgement.item_id == AuditItem.id)
        .join(Participant, Participant.id == Judgement.participant_id)
        .where(
            AuditItem.node_id == any_(wanted),
            AuditItem.kind == "label",
            Audit.project_id == project.id,
            Audit.state == "closed",
            counted(),
        )
        .group_by(AuditItem.id)
    )
    return [Tally(*row) for row in rows]

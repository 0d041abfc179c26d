"""A finished audit whose participants are simulated, and said to be so: the first start shows what a result looks like."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.audits.inviting import close_audit, invite_participants
from app.audits.judging import consent, finish
from app.audits.models import Audit, AuditItem, Judgement
from app.audits.sampling import Design, create_audit
from app.criteria.models import Node
from app.participants.access import get_participant
from app.projects.models import Project

NAME = "Simulated audit"
NOTICE = "Nobody took part in this audit: its participants are simulated, to show what a result looks like."
Says = Callable[[random.Random, int, str, str], str]
"""What somebody says of an image's attribute: from their chance, the image's id, the pair's key and the polarity."""


def simulate_audit(
    db: Session, project: Project, *, design: Design, people: int, says: Says
) -> Audit:
    """Draw a sample, have so many simulated participants judge all of it, and close it.

    Raises as `create_audit` does.
    """
    audit = create_audit(db, project, name=NAME, design=design, notice=NOTICE, by=None)
    audit.is_simulated = True
    items = db.execute(
        select(AuditItem.id, AuditItem.image_id, Node.key, AuditItem.polarity, AuditItem.expected)
        .outerjoin(Node, Node.id == AuditItem.node_id)
        .where(AuditItem.audit_id == audit.id)
        .order_by(AuditItem.id)
    ).all()
    for number, token in invite_participants(db, audit, people):
        participant = get_participant(db, token, of="audit")
        consent(db, participant)
        chance = random.Random(f"{audit.seed}:{number}")
        at = audit.created_at
        rows = []
        for item_id, image_id, key, polarity, expected in items:
            at += timedelta(seconds=chance.lognormvariate(1.4, 0.5))
            said = expected or says(chance, image_id, key, str(polarity))
            rows.append(_row(participant.id, audit.id, item_id, said, at))
        db.execute(insert(Judgement), rows)
        finish(db, participant)
    close_audit(db, audit)
    return audit


def _row(
    participant_id: int, audit_id: int, item_id: int, said: str, at: datetime
) -> dict[str, object]:
    return {
        "participant_id": participant_id,
        "audit_id": audit_id,
        "item_id": item_id,
        "answer": said,
        "at": at,
    }

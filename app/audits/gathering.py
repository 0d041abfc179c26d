"""Gathers what was asked and answered in an audit, for its figures.

Participants whose link was revoked are left out; how many is said beside every figure.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import ARRAY, BigInteger, any_, func, literal, select
from sqlalchemy.orm import Session

from app.audits.models import Audit, AuditItem, Judgement
from app.audits.scoring import Answers, gather
from app.criteria.models import Node
from app.participants.models import Participant
from app.participants.progress import counted
from app.projects.models import Project

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The questions of an audit as columns, by id, answered or not: the key of the attribute pair, the polarity, and
    whether it is a label or a decoy; with all answers.
    """

    ids: NDArray[np.int64]
    keys: NDArray[np.str_]
    polarities: NDArray[np.str_]
    decoys: Mask
    answers: Answers

    def about(self, items: Mask) -> tuple[Answers, int]:
        """The answers about some of the questions, and how many of those are labels."""
        chosen = items[np.searchsorted(self.ids, self.answers.items)]
        return self.answers.where(chosen), int((items & ~self.decoys).sum())


def gather_answers(db: Session, audit: Audit) -> Gathered:
    """Everything that an audit asked, and what participants answered; two queries."""
    items = db.execute(
        select(AuditItem.id, Node.key, AuditItem.polarity, AuditItem.kind == "decoy")
        .join(Node, Node.id == AuditItem.node_id)
        .where(AuditItem.audit_id == audit.id)
        .order_by(AuditItem.id)
    ).all()
    ids, keys, polarities, decoys = list(zip(*items, strict=True)) or [(), (), (), ()]
    # Columns, not objects: an audit of a hundred images has tens of thousands of answers.
    answers = db.execute(
        select(
            AuditItem.image_id,
            Judgement.participant_id,
            Judgement.item_id,
            Judgement.answer,
            AuditItem.kind == "decoy",
            func.extract("epoch", Judgement.at),
        )
        .join(AuditItem, AuditItem.id == Judgement.item_id)
        .join(Participant, Participant.id == Judgement.participant_id)
        .where(
            AuditItem.audit_id == audit.id,
            AuditItem.node_id.is_not(None),
            Participant.audit_id == audit.id,
            counted(),
        )
    )
    return Gathered(
        np.array(ids, dtype=np.int64),
        np.array(keys, dtype=np.str_),
        np.array(polarities, dtype=np.str_),
        np.array(decoys, dtype=np.bool_),
        gather(answers.all()),
    )


def gather_answers_about(
    db: Session, project: Project, node_ids: Collection[int]
) -> dict[str, Answers]:
    """By polarity: what participants of all closed audits answered about labels of these attribute pairs; one
    query. Decoys are left out, and so are audits that still take answers.
    """
    wanted = literal(sorted(node_ids), ARRAY(BigInteger))
    rows = db.execute(
        select(
            AuditItem.polarity,
            AuditItem.image_id,
            Judgement.participant_id,
            Judgement.item_id,
            Judgement.answer,
            literal(False),
            func.extract("epoch", Judgement.at),
        )
        .join(Audit, Audit.id == AuditItem.audit_id)
        .join(Judgement, Judgement.item_id == AuditItem.id)
        .join(Participant, Participant.id == Judgement.participant_id)
        .where(
            AuditItem.node_id == any_(wanted),
            AuditItem.kind == "label",
            Audit.project_id == project.id,
            Audit.state == "closed",
            ~Audit.is_simulated,
            counted(),
        )
    ).all()
    return {
        polarity: gather([row[1:] for row in rows if row[0] == polarity])
        for polarity in ("positive", "negative")
    }

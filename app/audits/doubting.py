"""What follows from an audit: labels that most participants refuted, and attributes that hold too rarely, are decided
again; attributes under a bar are known by name, for the criteria and for datasets.
"""

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.audits.by_attribute import count_verdicts
from app.audits.models import Audit, AuditItem, Judgement
from app.criteria.models import Node
from app.criteria.reading import get_node
from app.errors import Invalid
from app.labels.models import Label
from app.labels.questioning import Doubted, Questioned, ask_again
from app.participants.models import Participant
from app.participants.progress import counted
from app.projects.models import Project
from taxonomy.tree import Polarity, Side

LEAST_ANSWERS = 5
"""Of an attribute that fewer answers decided about, an audit says too little to leave it out."""
USUAL_BAR = 0.5
OPTION = "least_accuracy"


@dataclass(frozen=True, slots=True)
class Standing:
    """An attribute's accuracy over the closed audits of a project."""

    side: Side
    appears: int
    decided: int

    @property
    def accuracy(self) -> float:
        """The share of deciding answers that say it appears."""
        return self.appears / self.decided


def ask_refuted_again(db: Session, project: Project, audit: Audit, *, by: Person) -> Questioned:
    """Have the labels decided again that more participants refuted than confirmed; one action for all."""
    yes = func.count().filter(Judgement.answer == "appears")
    no = func.count().filter(Judgement.answer == "does_not_appear")
    rows = db.execute(
        select(AuditItem.image_id, Node.id, Label.polarity)
        .join(Node, Node.id == AuditItem.node_id)
        .join(
            Label,
            (Label.image_id == AuditItem.image_id)
            & (Label.node_id == Node.id)
            & (Label.polarity == AuditItem.polarity),
        )
        .join(Judgement, Judgement.item_id == AuditItem.id)
        .join(Participant, Participant.id == Judgement.participant_id)
        .where(AuditItem.audit_id == audit.id, AuditItem.kind == "label", counted())
        .group_by(AuditItem.id, Node.id, Label.id)
        .having(no > yes)
    )
    return ask_again(db, project, [Doubted(*row) for row in rows], by=by)


def ask_attribute_again(
    db: Session, project: Project, key: str, polarity: Polarity, *, by: Person
) -> Questioned:
    """Have every label of one attribute decided again that people confirmed or that still waits. Raises NotFound."""
    node = get_node(db, project, key)
    rows = db.execute(
        select(Label.image_id, Label.node_id, Label.polarity).where(
            Label.node_id == node.id, Label.polarity == polarity, Label.state != "rejected"
        )
    )
    return ask_again(db, project, [Doubted(*row) for row in rows], by=by)


# The bar ---------------------------------------------------------------------------------------


def get_bar(project: Project) -> float:
    """Under which accuracy an attribute is flagged in this project, in [0, 1]."""
    return float(project.options.get(OPTION, USUAL_BAR))


def set_bar(project: Project, bar: float) -> None:
    """Choose under which accuracy attributes are flagged. Raises Invalid outside of [0, 1]."""
    if not 0 <= bar <= 1:
        raise Invalid("An accuracy is from 0 to 100 percent.", field="bar")
    # A new dictionary, so that the change is seen.
    project.options = {**project.options, OPTION: bar}


def find_standings(db: Session, project: Project) -> list[Standing]:
    """Every attribute that closed audits say enough about, the least accurate first."""
    found = [
        Standing(side, appears, decided)
        for side, (appears, decided) in count_verdicts(db, project, closed_only=True).items()
        if decided >= LEAST_ANSWERS
    ]
    return sorted(found, key=lambda each: (each.accuracy, -each.decided, each.side))


def find_under(db: Session, project: Project, bar: float) -> list[Standing]:
    """The attributes whose accuracy is under a bar, the least accurate first."""
    return [each for each in find_standings(db, project) if each.accuracy < bar]

"""How many labels the nodes of the criteria have."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ARRAY, BigInteger, any_, func, literal, select
from sqlalchemy.orm import Session

from app.images.applicability import applies
from app.images.inclusion import left_out
from app.labels.models import Label


@dataclass(slots=True)
class LabelCounts:
    """Labels of one or several pairs, by polarity and state."""

    positive: int = 0
    negative: int = 0
    proposed: int = 0
    confirmed: int = 0
    rejected: int = 0

    @property
    def all(self) -> int:
        """Labels in any state, rejected ones included."""
        return self.proposed + self.confirmed + self.rejected

    @property
    def standing(self) -> int:
        """Labels that hold or may hold: proposed and confirmed ones."""
        return self.positive + self.negative

    def add(self, other: "LabelCounts") -> None:
        self.positive += other.positive
        self.negative += other.negative
        self.proposed += other.proposed
        self.confirmed += other.confirmed
        self.rejected += other.rejected


def count_labels(
    db: Session, node_ids: Iterable[int], *, applying: bool = False
) -> dict[int, LabelCounts]:
    """Label counts by node id, of these nodes; one grouped query. With `applying` without the labels that
    do not apply to their images: they are kept, and a publication carries them, but they tell nothing.

    Nodes without labels are left out. `positive` and `negative` leave rejected labels out.
    """
    # One array, not a join or a list: so the index on (node_id, polarity, state) alone answers, in
    # its order and without sorting.
    wanted = literal(list(node_ids), ARRAY(BigInteger))
    statement = (
        select(Label.node_id, Label.polarity, Label.state, func.count())
        .where(Label.node_id == any_(wanted), Label.image_id.not_in(left_out()))
        .group_by(Label.node_id, Label.polarity, Label.state)
    )
    if applying:
        statement = statement.where(applies(Label.image_id, Label.node_id))
    counts: dict[int, LabelCounts] = {}
    for node_id, polarity, state, number in db.execute(statement):
        found = counts.setdefault(node_id, LabelCounts())
        setattr(found, state, getattr(found, state) + number)
        if state != "rejected":
            setattr(found, polarity, getattr(found, polarity) + number)
    return counts

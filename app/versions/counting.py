"""How many labels the nodes of the criteria have."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import ARRAY, BigInteger, any_, cast, func, literal, select
from sqlalchemy.orm import Session

from app.labels.models import LabelCount


@dataclass(slots=True)
class LabelCounts:
    """Labels of one or several pairs, by polarity and state."""

    positive: int = 0
    negative: int = 0
    proposed: int = 0
    confirmed: int = 0
    rejected: int = 0
    unsure: int = 0

    @property
    def all(self) -> int:
        """Labels in any state, rejected ones included."""
        return self.proposed + self.confirmed + self.rejected + self.unsure

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
        self.unsure += other.unsure


def count_labels(
    db: Session, project_id: int, node_ids: Iterable[int], *, applying: bool = False
) -> dict[int, LabelCounts]:
    """Label counts by node id, of these nodes of a project, as they are kept (`LabelCount`). With `applying`
    without the labels that do not apply to their images: they stay, and a publication carries them, but they
    tell nothing.

    Nodes without labels are left out. `positive` and `negative` have those that are proposed or confirmed.
    """
    number = cast(func.sum(LabelCount.num), BigInteger)
    statement = (
        select(LabelCount.node_id, LabelCount.polarity, LabelCount.state, number)
        .where(
            LabelCount.project_id == project_id,
            LabelCount.node_id == any_(literal(list(node_ids), ARRAY(BigInteger))),
        )
        .group_by(LabelCount.node_id, LabelCount.polarity, LabelCount.state)
        .having(number != 0)
    )
    if applying:
        statement = statement.where(~LabelCount.lacking)
    counts: dict[int, LabelCounts] = {}
    for node_id, polarity, state, count in db.execute(statement):
        found = counts.setdefault(node_id, LabelCounts())
        setattr(found, state, getattr(found, state) + count)
        if state in ("proposed", "confirmed"):
            setattr(found, polarity, getattr(found, polarity) + count)
    return counts

"""How many labels the nodes of the criteria have."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Text,
    any_,
    case,
    cast,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Session

from app.images.applicability import applies
from app.images.inclusion import left_out
from app.images.styles import styled_images
from app.labels.models import Label, LabelCount
from app.projects.models import Project
from taxonomy.tree import POLARITIES, Criteria


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


def count_all_labels(
    db: Session, project_id: int, node_ids: Collection[int]
) -> dict[tuple[int, str], int]:
    """Labels in any state by node and polarity, those of images that were set aside included: as they are kept
    of images in use, and counted of the others, which are few.
    """
    number = cast(func.sum(LabelCount.num), BigInteger)
    kept = select(LabelCount.node_id, LabelCount.polarity, number).where(
        LabelCount.project_id == project_id, LabelCount.node_id.in_(node_ids)
    )
    of_others = select(Label.node_id, Label.polarity, func.count()).where(
        Label.image_id.in_(left_out(project_id)), Label.node_id.in_(node_ids)
    )
    found: dict[tuple[int, str], int] = {}
    for node_id, polarity, count in (
        *db.execute(kept.group_by(LabelCount.node_id, LabelCount.polarity)),
        *db.execute(of_others.group_by(Label.node_id, Label.polarity)),
    ):
        found[node_id, polarity] = found.get((node_id, polarity), 0) + count
    return found


def count_as_read(
    db: Session, project: Project, criteria: Criteria, ids: Mapping[str, int]
) -> dict[int, LabelCounts]:
    """The labels of the pairs with these ids, by key, that apply to their images, as they read there
    (`taxonomy.applicability`): what a style makes a merit is positive, what it makes description is neither.
    """
    counts = count_labels(db, project.id, ids.values(), applying=True)
    readings = [
        {"node_id": ids[pair.key], "polarity": polarity, "style": style, "reads": reads}
        for pair in criteria.pairs()
        for polarity in POLARITIES
        for style, reads in pair.attribute(polarity).styles
    ]
    if not readings:
        return counts
    reading = (
        func.jsonb_to_recordset(literal(json.dumps(readings)).cast(JSONB))
        .table_valued(
            column("node_id", BigInteger),
            column("polarity", Text),
            column("style", Text),
            column("reads", Text),
        )
        .render_derived(name="reading", with_types=True)
    )
    styled = styled_images(db, project, criteria)
    # Of several styles of an image the kindest one counts.
    each = (
        select(
            Label.node_id,
            Label.polarity,
            case((func.bool_or(reading.c.reads == "positive"), "positive"), else_="neutral").label(
                "reads"
            ),
        )
        .join(
            reading, (reading.c.node_id == Label.node_id) & (reading.c.polarity == Label.polarity)
        )
        .join(styled, (styled.c.image_id == Label.image_id) & (styled.c.style == reading.c.style))
        .where(
            Label.state != "rejected",
            Label.image_id.not_in(left_out()),
            applies(Label.image_id, Label.node_id),
        )
        .group_by(Label.id)
        .subquery()
    )
    otherwise = select(each, func.count()).group_by(*each.c)
    for node_id, polarity, reads, number in db.execute(otherwise):
        found = counts.setdefault(node_id, LabelCounts())
        setattr(found, polarity, getattr(found, polarity) - number)
        if reads == "positive":
            found.positive += number
    return counts

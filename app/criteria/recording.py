"""What the changes of the working criteria have in common: the lock, the count, the record."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Criteria, Node, NodeChange
from app.database import Json
from app.projects.models import Project

# The columns of a node that a change may concern, in the order in which people read them.
TEXTS = (
    "name",
    "definition",
    "positive_name",
    "positive_definition",
    "negative_name",
    "negative_definition",
)
COLUMNS = (
    *("key", "kind", "parent_id", "position", *TEXTS),
    *("exclusive", "relation", "details", "retired"),
)


def lock_criteria(db: Session, project: Project) -> Criteria:
    """The criteria row, made where there is none; others who change this tree wait until the end
    of this transaction.
    """
    db.execute(
        insert(Criteria).values(project_id=project.id, name=project.name).on_conflict_do_nothing()
    )
    return db.scalars(
        select(Criteria)
        .where(Criteria.project_id == project.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one()


@dataclass(frozen=True, slots=True)
class Part:
    """What a change did to one node; without `before` it was added, without `after` taken out."""

    node: Node | None
    before: Json | None = None
    after: Json | None = None


def record(
    db: Session,
    criteria: Criteria,
    kind: str,
    *,
    by: Person | None,
    node: Node | None = None,
    before: Json | None = None,
    after: Json | None = None,
) -> NodeChange:
    """Write down one change of one node and count it. The caller holds the lock."""
    return record_parts(db, criteria, kind, [Part(node, before, after)], by=by)[0]


def record_parts(
    db: Session,
    criteria: Criteria,
    kind: str,
    parts: Sequence[Part],
    *,
    by: Person | None,
    undoes: int | None = None,
) -> list[NodeChange]:
    """Write down one change of several nodes; the first part stands for the whole in lists."""
    criteria.revision += 1
    changes = [
        NodeChange(
            project_id=criteria.project_id,
            revision=criteria.revision,
            part=number,
            node_id=part.node.id if part.node else None,
            kind=kind,
            before=part.before,
            after=part.after,
            undoes=undoes,
            person_id=by.id if by else None,
        )
        for number, part in enumerate(parts)
    ]
    db.add_all(changes)
    db.flush()
    return changes


def content(node: Node) -> Json:
    """Everything a node says, as it is recorded when it is added or removed."""
    return {column: getattr(node, column) for column in COLUMNS}

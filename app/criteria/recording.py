"""What the changes of the working criteria have in common: the lock, the count, the record."""

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
COLUMNS = ("key", "kind", "parent_id", "position", *TEXTS, "exclusive", "relation", "retired")


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


def record(
    db: Session,
    criteria: Criteria,
    kind: str,
    *,
    by: Person | None,
    node: Node | None = None,
    before: Json | None = None,
    after: Json | None = None,
    undoes: int | None = None,
) -> NodeChange:
    """Write down one change and count it. The caller holds the lock."""
    criteria.revision += 1
    change = NodeChange(
        project_id=criteria.project_id,
        revision=criteria.revision,
        node_id=node.id if node else None,
        kind=kind,
        before=before,
        after=after,
        undoes=undoes,
        person_id=by.id if by else None,
    )
    db.add(change)
    db.flush()
    return change


def content(node: Node) -> Json:
    """Everything a node says, as it is recorded when it is added or removed."""
    return {column: getattr(node, column) for column in COLUMNS}

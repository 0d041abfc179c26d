"""Undoing a change of the criteria, with the labels in view."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria import undoing
from app.criteria.models import Node, NodeChange
from app.projects.models import Project
from app.versions.moving import Choice, settle_edit


def undo(
    db: Session,
    project: Project,
    revision: int,
    *,
    by: Person,
    names_moved: Choice | None = None,
) -> NodeChange:
    """Take back the change that made `revision`; a node that labels name is never removed.

    Raises what `app.criteria.undoing.undo` raises, and the question of `app.versions.editing.revise`:
    undoing an exchange of names exchanges them too.
    """
    with db.begin_nested():
        change = undoing.undo(db, project, revision, by=by)
        keys = db.scalars(
            select(Node.key)
            .join(NodeChange, NodeChange.node_id == Node.id)
            .where(NodeChange.project_id == project.id, NodeChange.revision == change.revision)
        ).all()
        settle_edit(db, project, keys, names_moved, by=by)
    return change

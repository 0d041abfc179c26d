"""Undoing a change of the criteria, with the labels in view."""

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria import undoing
from app.criteria.models import NodeChange
from app.projects.models import Project
from app.versions.counting import has_labels


def undo(db: Session, project: Project, revision: int, *, by: Person) -> NodeChange:
    """Take back the change that made `revision`; a node that labels name is never removed.

    Raises what `app.criteria.undoing.undo` raises.
    """
    return undoing.undo(db, project, revision, by=by, is_used=has_labels)

"""Importing criteria with the labels in view: a file that takes a name to another attribute asks."""

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria import importing
from app.projects.models import Project
from app.versions.moving import Choice, settle_edit
from taxonomy.tree import Criteria


def import_criteria(
    db: Session,
    project: Project,
    new: Criteria,
    *,
    based_on: int,
    by: Person | None,
    names_moved: Choice | None = None,
) -> None:
    """Put a tree in the place of the working criteria; no node is thrown away, and no label.

    Raises what `app.criteria.importing.import_criteria` raises, and the question of
    `app.versions.editing.revise`.
    """
    with db.begin_nested():
        keys = importing.import_criteria(db, project, new, based_on=based_on, by=by)
        settle_edit(db, project, keys, names_moved, by=by)

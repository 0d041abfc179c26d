"""Editing the criteria with the labels in view: an edit that takes a name to another attribute asks."""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria import editing
from app.criteria.models import Node
from app.projects.models import Project
from app.versions.moving import Choice, settle_edit
from taxonomy.tree import Attribute


def revise(
    db: Session,
    project: Project,
    key: str,
    *,
    based_on: int,
    by: Person,
    texts: Mapping[str, str],
    names_moved: Choice | None = None,
) -> Node:
    """Change several texts of a node together or not at all.

    Raises what `app.criteria.editing.revise` raises, and Conflict with the question where a name or
    definition that labels were made for goes to another attribute and `names_moved` does not say what
    happens to them.
    """
    with db.begin_nested():
        node = editing.revise(db, project, key, based_on=based_on, by=by, texts=texts)
        settle_edit(db, project, [node.key], names_moved, by=by)
    return node


def add_pair(
    db: Session,
    project: Project,
    *,
    parent: str,
    relation: str,
    positive: Attribute,
    negative: Attribute,
    by: Person,
    names_moved: Choice | None = None,
) -> Node:
    """Add an attribute pair. Raises as `revise` does: a new pair may take a name that another lost."""
    with db.begin_nested():
        node = editing.add_pair(
            db,
            project,
            parent=parent,
            relation=relation,
            positive=positive,
            negative=negative,
            by=by,
        )
        settle_edit(db, project, [node.key], names_moved, by=by)
    return node

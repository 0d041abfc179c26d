"""Importing criteria with the labels in view: a file that takes a name to another attribute asks."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria import importing
from app.projects.models import Project
from app.versions.foreseeing import Effect, preview_replacements
from app.versions.moving import Choice, settle_edit
from app.versions.touching import Touched, count_touched
from taxonomy.tree import Criteria


@dataclass(frozen=True, slots=True)
class LabelsForeseen:
    """The labels that an import would concern: by kind of change, and of pairs that others take the place of."""

    touched: list[Touched]
    succession: list[Effect]


def foresee_labels(db: Session, project: Project, found: importing.Foreseen) -> LabelsForeseen:
    """What the publication after an import would do to labels, in numbers; what moves most first."""
    effects = preview_replacements(db, project, found.current, found.criteria)
    return LabelsForeseen(
        count_touched(db, project, found.current, found.criteria, found.changes),
        sorted(effects, key=lambda each: -each.labels.all),
    )


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

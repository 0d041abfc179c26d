"""Taking the last publication back: a new version that says what the one before said."""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import CriteriaVersion, Node, NodeChange
from app.criteria.reading import current_version, get_version
from app.criteria.recording import lock_criteria
from app.criteria.retiring import retire
from app.errors import Conflict
from app.projects.models import Project
from app.versions.moving import Choice
from app.versions.publishing import publish
from app.versions.undoing import undo


def take_back(
    db: Session, project: Project, number: int, *, by: Person, names_moved: Choice | None = None
) -> CriteriaVersion:
    """Undo every change of the last version, newest first, and publish; labels are given back with it.

    What the version added was in use since, so it is retired and its labels are kept. Raises NotFound,
    Conflict where another version came after, where nothing came before, or where something was changed
    since; and what undoing and publishing raise. Then nothing is done at all.
    """
    with db.begin_nested():
        row = lock_criteria(db, project)
        version = get_version(db, project, number)
        last = current_version(db, project)
        if number == 1:
            raise Conflict(
                "Nothing was published before version 1, so there is nothing to go back to."
            )
        if last is None or last.number != number:
            raise Conflict(
                f"Version {number} is not the last one.", hint="Take the later ones back first."
            )
        if row.revision != version.working_revision:
            raise Conflict(
                f"The criteria were changed since version {number}.",
                hint="Publish these changes or undo them first.",
            )
        before = get_version(db, project, number - 1)
        for change in _changes_to_undo(db, project, before, version):
            if change.kind == "added":
                _retire(db, project, change, by)
            else:
                undo(db, project, change.revision, by=by, names_moved=names_moved)
        return publish(
            db, project, note=f"Takes version {number} back.", by=by, names_moved=names_moved
        )


def _changes_to_undo(
    db: Session, project: Project, before: CriteriaVersion, version: CriteriaVersion
) -> Sequence[NodeChange]:
    """The changes to undo between two versions, newest first."""
    changes = db.scalars(
        select(NodeChange)
        .where(
            NodeChange.project_id == project.id,
            NodeChange.part == 0,
            NodeChange.revision > before.working_revision,
            NodeChange.revision <= version.working_revision,
        )
        .order_by(NodeChange.revision.desc())
    ).all()
    # A change, its undoing, the undoing of that ...: only the newest can be undone, and there is something
    # to undo only where their number is odd.
    roots: dict[int, int] = {}
    chains: dict[int, list[NodeChange]] = {}
    for each in reversed(changes):
        root = roots.get(each.undoes or 0, each.revision)
        roots[each.revision] = root
        chains.setdefault(root, []).append(each)
    newest = [chain[-1] for chain in chains.values() if len(chain) % 2]
    found = sorted(newest, key=lambda each: -each.revision)
    return [each for each in found if each.node_id is not None]


def _retire(db: Session, project: Project, change: NodeChange, by: Person) -> None:
    node = db.get_one(Node, change.node_id)
    if not node.retired and not node.removed:
        retire(db, project, node.key, based_on=node.revision, by=by)

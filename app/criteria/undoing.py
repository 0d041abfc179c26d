"""Taking one recorded change back, as a change of its own."""

from sqlalchemy import exists, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.editing import (
    NAMES,
    Working,
    open_working,
    refuse_taken_names,
    stale,
)
from app.criteria.models import CriteriaVersion, Node, NodeChange
from app.criteria.reading import title
from app.criteria.recording import content, record
from app.database import Json
from app.errors import Conflict, NotFound
from app.labels.models import Label
from app.projects.models import Project

# Recorded with a node that was added, but a place among siblings is nobody's statement.
_NOT_COMPARED = {"position", "kind", "key"}


def undo(
    db: Session,
    project: Project,
    revision: int,
    *,
    by: Person,
) -> NodeChange:
    """Take back the change that made the working criteria's `revision`; returns the new change.

    Raises NotFound, Stale where something it changed was changed again, and Conflict where it cannot be
    taken back: done already, published, named by labels, or in the way of another node.
    """
    working = open_working(db, project)
    change = _open_change(db, project, revision)
    assert change.node_id is not None
    node = working.by_id[change.node_id]
    if change.before is None:
        _remove(db, project, working, change, node)
        before, after = content(node), None
    elif change.after is None:
        _restore(working, node)
        before, after = None, content(node)
    else:
        before, after = _set_back(db, working, change, node)
    node.revision += 1
    return record(
        db,
        working.criteria,
        "undo",
        by=by,
        node=node,
        before=before,
        after=after,
        undoes=change.revision,
    )


def _open_change(db: Session, project: Project, revision: int) -> NodeChange:
    change = db.scalar(
        select(NodeChange).where(
            NodeChange.project_id == project.id, NodeChange.revision == revision
        )
    )
    if change is None:
        raise NotFound(f"The criteria have no change {revision}.")
    if change.node_id is None:
        raise Conflict("Loading the criteria cannot be undone; edit what is there instead.")
    done = db.scalar(
        select(NodeChange.revision).where(
            NodeChange.project_id == project.id, NodeChange.undoes == revision
        )
    )
    if done is not None:
        raise Conflict(f"Change {revision} was undone already, by change {done}.")
    return change


def _set_back(db: Session, working: Working, change: NodeChange, node: Node) -> tuple[Json, Json]:
    assert change.before is not None and change.after is not None
    if node.removed:
        raise Conflict(f"“{title(node)}” was removed since.", hint="Undo its removal first.")
    _refuse_changed(db, node, change.after)
    names = {field: text for field, text in change.before.items() if field in NAMES}
    if names and working.is_live(node):
        refuse_taken_names(working, node, names)
    for field, value in change.before.items():
        setattr(node, field, value)
    return dict(change.after), dict(change.before)


def _refuse_changed(db: Session, node: Node, expected: Json) -> None:
    theirs = {
        field: getattr(node, field)
        for field, value in expected.items()
        if field not in _NOT_COMPARED and getattr(node, field) != value
    }
    if theirs:
        raise stale(db, node, theirs, None)


def _remove(
    db: Session,
    project: Project,
    working: Working,
    change: NodeChange,
    node: Node,
) -> None:
    assert change.after is not None
    _refuse_changed(db, node, change.after)
    name = title(node)
    if any(each.parent_id == node.id and not each.removed for each in working.by_id.values()):
        raise Conflict(f"“{name}” has nodes below it.", hint="Undo adding those first.")
    published = db.scalar(
        select(func.min(CriteriaVersion.number)).where(
            CriteriaVersion.project_id == project.id,
            CriteriaVersion.working_revision >= change.revision,
        )
    )
    if published is not None:
        raise Conflict(f"“{name}” was published in version {published}, so it stays.")
    if db.scalar(select(exists().where(Label.node_id == node.id))):
        raise Conflict(f"“{name}” is on labels already, so it stays.")
    node.removed = True


def _restore(working: Working, node: Node) -> None:
    parent = working.by_id[node.parent_id] if node.parent_id is not None else None
    if parent is not None and not working.is_live(parent):
        raise Conflict(
            f"“{title(parent)}”, where “{title(node)}” stood, is no longer there.",
            hint="Bring that back first.",
        )
    fields = NAMES[:1] if node.kind == "dimension" else NAMES[1:]
    refuse_taken_names(working, node, {field: getattr(node, field) for field in fields}, new=True)
    node.removed = False

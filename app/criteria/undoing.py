"""Taking one recorded change back, as a change of its own."""

from collections.abc import Sequence

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.editing import refuse_taken_names, stale, words
from app.criteria.models import Criteria, CriteriaVersion, Node, NodeChange, NodeSuccession
from app.criteria.reading import NAMES, title, version_criteria
from app.criteria.recording import TEXTS, Part, content, record_parts
from app.criteria.successions import set_successors
from app.criteria.wholeness import refuse_broken
from app.criteria.working import Working, open_working
from app.database import Json
from app.errors import Conflict, NotFound
from app.labels.models import Label
from app.projects.models import Project

# Changes that put a whole tree in the place of another.
_WHOLE = {"imported", "fixed"}
# Recorded with a node that was added, but a place among siblings is nobody's statement.
_NOT_COMPARED = {"position", "positions", "kind", "key", "successors"}


def undo(
    db: Session,
    project: Project,
    revision: int,
    *,
    by: Person,
) -> NodeChange:
    """Take back the change that made the working criteria's `revision`; returns the new change.

    A change of several nodes is taken back as a whole. Raises NotFound, Stale where something it changed
    was changed again, and Conflict where it cannot be taken back: done already, published, named by
    labels, or in the way of another node. A merge, split or change of meaning can be taken back after it
    was published: the next publication takes its labels back too.
    """
    with db.begin_nested():
        working = open_working(db, project)
        changes = _open_changes(db, project, revision)
        root = _root(db, changes[0])
        if root.kind == "settings":
            return _undo_settings(db, working.criteria, changes[0], by)
        nodes = _own(db, working, changes)
        _refuse_replaced_since(working, changes)
        took = {new_id for change in changes for new_id in _successors(change.after)}
        parts = [
            _take_back(db, project, working, change, node, root, took_a_place=node.id in took)
            for change, node in zip(changes, nodes, strict=True)
        ]
        # Texts alone move nothing; their names are looked at where they are set, those of an import together.
        is_whole = root.kind in _WHOLE
        placed = [
            node for part, node in zip(parts, nodes, strict=True) if is_whole or not _is_text(part)
        ]
        refuse_broken(working, placed)
        undone = record_parts(db, working.criteria, "undo", parts, by=by, undoes=revision)
        _settle_successors(db, project, working, undone, root)
    return undone[0]


def _open_changes(db: Session, project: Project, revision: int) -> Sequence[NodeChange]:
    changes = db.scalars(
        select(NodeChange)
        .where(NodeChange.project_id == project.id, NodeChange.revision == revision)
        .order_by(NodeChange.part)
    ).all()
    if not changes:
        raise NotFound(f"The criteria have no change {revision}.")
    if changes[0].kind == "listed":
        raise Conflict("Content and styles are changed back by editing the lists again.")
    if changes[0].kind == "loaded":
        raise Conflict("Loading the criteria cannot be undone; edit what is there instead.")
    done = db.scalar(
        select(NodeChange.revision).where(
            NodeChange.project_id == project.id, NodeChange.undoes == revision
        )
    )
    if done is not None:
        raise Conflict(f"Change {revision} was undone already, by change {done}.")
    return changes


def _own(db: Session, working: Working, changes: Sequence[NodeChange]) -> Sequence[Node]:
    """The node of each change, and with them those whose places it changed, to be changed back."""
    nodes = [working.by_id[change.node_id or 0] for change in changes]
    moved = {
        int(each) for change in changes for each in (change.before or {}).get("positions") or ()
    }
    working.own(db, [*nodes, *(working.by_id[each] for each in moved)])
    return [working.by_id[node.id] for node in nodes]


def _root(db: Session, change: NodeChange) -> NodeChange:
    """The change that was first made, however often it was undone and made again since."""
    while change.undoes is not None:
        change = db.scalars(
            select(NodeChange).where(
                NodeChange.project_id == change.project_id,
                NodeChange.revision == change.undoes,
                NodeChange.part == 0,
            )
        ).one()
    return change


def _refuse_replaced_since(working: Working, changes: Sequence[NodeChange]) -> None:
    """What took a place has to be there still: otherwise something took its place in turn."""
    for change in changes:
        for new_id in _successors(change.after):
            node = working.by_id[new_id]
            if node.removed:
                raise Conflict(
                    f"“{title(node)}” was itself merged, split or redefined since.",
                    hint="Undo that first.",
                )


def _take_back(
    db: Session,
    project: Project,
    working: Working,
    change: NodeChange,
    node: Node,
    root: NodeChange,
    *,
    took_a_place: bool,
) -> Part:
    if change.after == {}:
        return Part(node, {}, {})
    if change.before is None:
        _refuse_changed(db, node, change.after or {})
        if took_a_place:
            _refuse_merged_into(db, node, root)
        else:
            _refuse_used(db, project, change, node)
        part = Part(node, content(node), None)
        node.removed = True
    elif change.after is None:
        _refuse_retired_place(working, node)
        node.removed = False
        part = Part(node, None, content(node))
    else:
        part = _set_back(db, working, change, node, is_whole=root.kind in _WHOLE)
    node.revision += 1
    return part


def _undo_settings(db: Session, criteria: Criteria, change: NodeChange, by: Person) -> NodeChange:
    """Set name and settings of the criteria back, where nobody changed them again."""
    before, after = change.before or {}, change.after or {}
    for name, value in after.items():
        if getattr(criteria, name) != value:
            raise Conflict(f"{words(name)} was changed again since.".capitalize())
    for name, value in before.items():
        setattr(criteria, name, value)
    part = Part(None, dict(after), dict(before))
    return record_parts(db, criteria, "undo", [part], by=by, undoes=change.revision)[0]


def _set_back(
    db: Session, working: Working, change: NodeChange, node: Node, *, is_whole: bool
) -> Part:
    before, after = change.before or {}, change.after or {}
    if node.removed and not after.get("removed"):
        raise Conflict(f"“{title(node)}” was removed since.", hint="Undo its removal first.")
    _refuse_changed(db, node, after)
    _refuse_reordered(db, working, node, after.get("positions") or {})
    names = {field: text for field, text in before.items() if field in NAMES}
    if names and working.is_live(node) and not is_whole:
        refuse_taken_names(working, node, names)
    for field, value in before.items():
        if field == "positions":
            for node_id, position in value.items():
                working.by_id[int(node_id)].position = position
        elif field != "successors":
            setattr(node, field, value)
    # What stood below something retired comes back retired with it; a place that is gone is refused with
    # everything else that does not fit (`refuse_broken`).
    return Part(node, dict(after), dict(before))


def _is_text(part: Part) -> bool:
    return part.before is not None and part.after is not None and set(part.after) <= set(TEXTS)


def _refuse_changed(db: Session, node: Node, expected: Json) -> None:
    theirs = {
        field: getattr(node, field)
        for field, value in expected.items()
        if field not in _NOT_COMPARED and getattr(node, field) != value
    }
    if theirs:
        raise stale(db, node, theirs, None)


def _refuse_reordered(db: Session, working: Working, node: Node, positions: dict[str, int]) -> None:
    if any(working.by_id[int(each)].position != place for each, place in positions.items()):
        raise stale(db, node, {"order": "another one"}, None)


def _refuse_used(db: Session, project: Project, change: NodeChange, node: Node) -> None:
    published = _published_in(db, project, node, change.revision)
    if published is not None:
        raise Conflict(f"“{title(node)}” was published in version {published}, so it stays.")
    if db.scalar(select(exists().where(Label.node_id == node.id))):
        raise Conflict(f"“{title(node)}” is on labels already, so it stays.")


def _refuse_merged_into(db: Session, node: Node, root: NodeChange) -> None:
    other = db.scalar(
        select(Node)
        .join(NodeSuccession, NodeSuccession.old_id == Node.id)
        .where(
            NodeSuccession.new_id == node.id,
            NodeSuccession.kind != "return",
            NodeSuccession.change_id != root.id,
        )
        .limit(1)
    )
    if other is not None:
        raise Conflict(
            f"“{title(other)}” was merged into “{title(node)}” since.", hint="Undo that first."
        )


def _published_in(db: Session, project: Project, node: Node, revision: int) -> int | None:
    """The first version since a change that names the node."""
    versions = db.scalars(
        select(CriteriaVersion)
        .where(
            CriteriaVersion.project_id == project.id, CriteriaVersion.working_revision >= revision
        )
        .order_by(CriteriaVersion.number)
    )
    return next((each.number for each in versions if version_criteria(each).find(node.key)), None)


def _refuse_retired_place(working: Working, node: Node) -> None:
    parent = working.by_id[node.parent_id] if node.parent_id is not None else None
    if parent is not None and not working.is_live(parent):
        raise Conflict(
            f"“{title(parent)}”, where “{title(node)}” stood, is no longer there.",
            hint="Bring that back first.",
        )


def _successors(side: Json | None) -> list[int]:
    """What took the place of a node, as a change recorded it."""
    return list(((side or {}).get("successors") or {}).get("to", ()))


def _is_named(db: Session, node: Node) -> bool:
    """Whether the key of a node that left leads here."""
    return bool(db.scalar(select(exists().where(NodeSuccession.new_id == node.id))))


def _settle_successors(
    db: Session,
    project: Project,
    working: Working,
    undone: Sequence[NodeChange],
    root: NodeChange,
) -> None:
    """Successions come and go with their change; a node that a version named and that goes now leads
    to those it was made of.
    """
    for change in undone:
        node = working.by_id[change.node_id or 0]
        if "successors" in (change.after or {}):
            set_successors(db, node, (change.after or {})["successors"], root.id)
        elif change.before is None:
            set_successors(db, node, None, root.id)
        elif (
            change.after is None
            and (to := [each.node_id for each in undone if node.id in _successors(each.before)])
            and (_is_named(db, node) or _published_in(db, project, node, root.revision))
        ):
            set_successors(db, node, {"kind": "return", "to": to}, undone[0].id)

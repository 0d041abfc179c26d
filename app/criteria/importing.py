"""Putting a file in the place of the criteria that are there: shown first, then done as recorded changes.

Nothing is thrown away: nodes keep their rows and with them their labels. What a file lacks is retired,
and what it names successors of is replaced by them, as a merge or split by hand would do.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.columns import columns_of, kind_of
from app.criteria.loading import REFUSED, refusal
from app.criteria.models import Criteria, Node
from app.criteria.reading import build_tree, get_criteria, working_criteria
from app.criteria.recording import Part, content, record, record_parts
from app.criteria.successions import find_successors, set_successors
from app.criteria.working import Working, open_working
from app.errors import Conflict, Stale
from app.projects.models import Project
from taxonomy import tree
from taxonomy.changes import Change, difference
from taxonomy.checks import check
from taxonomy.formats.details import head_details
from taxonomy.problems import Problem
from taxonomy.replacing import put_in_place, replacements
from taxonomy.tree import InvalidCriteria

Kind: TypeAlias = Literal["imported", "fixed"]


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an import would do: the criteria as they are, from revision `based_on`, and as they would be, the
    changes between, and what the checks say then.
    """

    current: tree.Criteria
    criteria: tree.Criteria
    based_on: int
    changes: list[Change]
    problems: list[Problem]


def foresee(db: Session, project: Project, new: tree.Criteria) -> Foreseen:
    """What putting a tree in the place of the working criteria would do. Raises Invalid where keys do
    not fit, with every fault in `problems`.
    """
    current = working_criteria(db, project)
    return _foreseen(current, new, get_criteria(db, project).revision)


def _foreseen(current: tree.Criteria, new: tree.Criteria, revision: int) -> Foreseen:
    try:
        result = put_in_place(current, new)
    except InvalidCriteria as error:
        raise refusal(error.problems) from error
    problems = check(result)
    if wrong := [each.message for each in problems if each.code in REFUSED]:
        raise refusal(wrong)
    return Foreseen(current, result, revision, difference(current, result), problems)


def import_criteria(
    db: Session,
    project: Project,
    new: tree.Criteria,
    *,
    based_on: int,
    by: Person | None,
    kind: Kind = "imported",
) -> set[str]:
    """Put a tree in the place of the working criteria; the keys of the nodes that this changed.

    `kind` says in the history whether a file was imported or a fault put right.
    All nodes are one recorded change, name and settings of the whole another. Raises Stale where the
    criteria changed since the revision `based_on` that was shown, Invalid where keys do not fit, Conflict
    where there is nothing to change.
    """
    with db.begin_nested():
        working = open_working(db, project)
        if working.criteria.revision != based_on:
            raise Stale(
                "Someone changed the criteria after this import was shown.",
                hint="Look at what it would change now, then import again.",
                revision=working.criteria.revision,
                yours=based_on,
            )
        live = [node for node in working.by_id.values() if not node.removed]
        current = build_tree(working.criteria, live, find_successors(db, project))
        foreseen = _foreseen(current, new, based_on)
        _refuse_keys_of_old(working, foreseen.criteria)
        if not foreseen.changes:
            raise Conflict("The criteria say all that the file says; there is nothing to import.")
        _record_settings(db, working.criteria, foreseen.criteria, by)
        parts = _put(db, working, foreseen.criteria)
        parts += _replace(db, working, current, foreseen.criteria)
        if parts:
            _record(db, working, kind, parts, by)
    return {part.node.key for part in parts if part.node is not None}


def _refuse_keys_of_old(working: Working, criteria: tree.Criteria) -> None:
    problems = [
        f"The key {entry.node.key} belonged to a node that was removed here, and keys are never "
        "used again; give this one another key."
        for entry in criteria.walk()
        if (node := working.by_key.get(entry.node.key)) is not None and node.removed
    ]
    if problems:
        raise refusal(problems)


def _record_settings(
    db: Session, row: Criteria, criteria: tree.Criteria, by: Person | None
) -> None:
    after = {
        "name": criteria.name,
        "language": criteria.language,
        "max_levels": criteria.max_levels,
        "details": head_details(criteria),
    }
    changed = {name: value for name, value in after.items() if getattr(row, name) != value}
    if changed:
        before = {name: getattr(row, name) for name in changed}
        for name, value in changed.items():
            setattr(row, name, value)
        record(db, row, "settings", by=by, before=before, after=changed)


def _record(
    db: Session, working: Working, kind: Kind, parts: Sequence[Part], by: Person | None
) -> None:
    # The first part stands for the whole in lists: a node of which more changed than its place.
    parts = sorted(parts, key=lambda part: (part.after or {}).keys() == {"position"})
    change = record_parts(db, working.criteria, kind, parts, by=by)[0]
    for part in parts:
        successors = (part.after or {}).get("successors")
        if part.node is not None and successors:
            set_successors(db, part.node, successors, change.id)


# Nodes that are in the file ---------------------------------------------------------------------


def _put(db: Session, working: Working, criteria: tree.Criteria) -> list[Part]:
    """Make every row say what the tree says; what was changed, those above before those below."""
    positions = dict(_positions(working, criteria))
    says = {
        entry.node.key: {"position": positions[entry.node.key], **columns_of(entry.node)}
        for entry in criteria.walk()
    }
    _own_changed(db, working, criteria, says)
    parts = []
    level = 1
    for entry in sorted(criteria.walk(), key=lambda entry: entry.level):
        if entry.level > level:
            # Only now: a child needs the id that its parent is given.
            db.flush()
            level = entry.level
        parent = working.by_key[entry.parent.key] if entry.parent else None
        wanted = {"parent_id": parent.id if parent else None, **says[entry.node.key]}
        node = working.by_key.get(entry.node.key)
        if node is None:
            parts.append(Part(_new(db, working, entry.node, wanted)))
        elif part := _changed(node, wanted):
            parts.append(part)
    db.flush()
    return [
        each if each.before is not None else Part(each.node, None, content(each.node))
        for each in parts
        if each.node is not None
    ]


def _own_changed(
    db: Session, working: Working, criteria: tree.Criteria, says: Mapping[str, Mapping[str, Any]]
) -> None:
    """Of thousands of nodes a file changes a few: those alone are read to be changed."""
    changed = []
    for entry in criteria.walk():
        node = working.by_key.get(entry.node.key)
        if node is None:
            continue
        parent = working.by_key.get(entry.parent.key) if entry.parent else None
        is_there = node.parent_id == (parent.id if parent else None) and bool(parent) == bool(
            entry.parent
        )
        said = says[node.key].items()
        if not is_there or any(getattr(node, name) != value for name, value in said):
            changed.append(node)
    working.own(db, changed)


def _new(db: Session, working: Working, node: tree.Node, wanted: Mapping[str, Any]) -> Node:
    row = Node(project_id=working.criteria.project_id, key=node.key, kind=kind_of(node), **wanted)
    db.add(row)
    working.by_key[node.key] = row
    return row


def _changed(node: Node, wanted: Mapping[str, Any]) -> Part | None:
    after = {name: value for name, value in wanted.items() if getattr(node, name) != value}
    if not after:
        return None
    before = {name: getattr(node, name) for name in after}
    for name, value in after.items():
        setattr(node, name, value)
    # That others came before it is no change of the node that someone could have missed.
    node.revision += after.keys() != {"position"}
    return Part(node, before, after)


def _positions(working: Working, criteria: tree.Criteria) -> Iterator[tuple[str, int]]:
    """A place for each node. Those that stand there already, in this order, keep theirs."""
    for parent, siblings in _families(criteria):
        above = working.by_key.get(parent) if parent is not None else None
        parent_id = above.id if above is not None else None
        is_there = parent is None or above is not None
        last = -1
        for each in siblings:
            node = working.by_key.get(each.key)
            stays = is_there and node is not None and node.parent_id == parent_id
            kept = node.position if stays and node is not None else -1
            last = kept if kept > last else last + 1
            yield each.key, last


def _families(criteria: tree.Criteria) -> Iterator[tuple[str | None, Sequence[tree.Node]]]:
    yield None, criteria.dimensions
    for entry in criteria.walk():
        if isinstance(entry.node, tree.Dimension):
            yield entry.node.key, entry.node.dimensions
            yield entry.node.key, entry.node.pairs


# Nodes that others take the place of ------------------------------------------------------------


def _replace(db: Session, working: Working, old: tree.Criteria, new: tree.Criteria) -> list[Part]:
    """Take out what the file names successors of."""
    parts = []
    found = list(replacements(old, new))
    gone = working.own(db, [working.by_key[was.key] for _, was, _ in found])
    for node, (kind, _, keys) in zip(gone, found, strict=True):
        to = [working.by_key[each].id for each in keys]
        node.removed = True
        node.revision += 1
        parts.append(
            Part(
                node,
                {"removed": False, "successors": None},
                {"removed": True, "successors": {"kind": kind, "to": to}},
            )
        )
    return parts

"""Putting a whole tree into an empty project."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.columns import columns_of, kind_of
from app.criteria.models import Node, NodeChange, NodeSuccession
from app.criteria.recording import lock_criteria, record
from app.errors import Conflict, Invalid
from app.projects.models import Project
from taxonomy.checks import check
from taxonomy.formats.details import head_details
from taxonomy.formats.json import sha256
from taxonomy.tree import Attribute, Criteria, Dimension, Pair, counts
from taxonomy.tree import Node as TreeNode

# Faults of identity. Any other can be put right in the editor, and stops a publication till then.
REFUSED = {
    "bad-key",
    "duplicate-key",
    "successor-cycle",
    "successor-kind",
    "unknown-successor",
}


def load_criteria(db: Session, project: Project, criteria: Criteria, *, by: Person | None) -> None:
    """Put a tree into a project without criteria, as one recorded change.

    Raises Conflict where the project has criteria, Invalid (with `problems`) where keys are wrong.
    """
    row = lock_criteria(db, project)
    taken = _taken_keys(db, project)
    problems = [each.message for each in check(criteria) if each.code in REFUSED]
    problems += [
        f"The key {key} belonged to a node that was removed here, and keys are never "
        "used again; give this one another key."
        for key in [*(entry.node.key for entry in criteria.walk()), *criteria.successors]
        if key in taken
    ]
    if problems:
        raise refusal(problems)
    row.name, row.language = criteria.name, criteria.language
    row.max_levels, row.details = criteria.max_levels, head_details(criteria)
    _insert(db, project, criteria)
    change = record(db, row, "loaded", by=by, after=_summary(criteria))
    _insert_successions(db, project, criteria, change)


def refusal(problems: list[str]) -> Invalid:
    """The error that lists every fault of a file."""
    more = f" There are {len(problems) - 1} more problems." if len(problems) > 1 else ""
    return Invalid(f"{problems[0]}{more}", field="file", problems=problems)


def _taken_keys(db: Session, project: Project) -> set[str]:
    rows = db.execute(select(Node.key, Node.removed).where(Node.project_id == project.id)).all()
    if not all(removed for _, removed in rows):
        raise Conflict(
            "This project has criteria already.",
            hint="Load a file into a new project, or edit the criteria that are here.",
        )
    return {key for key, _ in rows}


def _summary(criteria: Criteria) -> dict[str, Any]:
    size = counts(criteria)
    return {
        "name": criteria.name,
        "dimensions": size.dimensions,
        "pairs": size.attribute_pairs,
        "sha256": sha256(criteria),
    }


def _insert(db: Session, project: Project, criteria: Criteria) -> None:
    """One statement for each level, because a child needs the id that its parent was given."""
    roots = enumerate(criteria.dimensions)
    parents = _insert_rows(db, [_row(project, None, i, each) for i, each in roots])
    above = list(criteria.dimensions)
    while above:
        rows = [row for each in above for row in _children_rows(project, parents[each.key], each)]
        parents = _insert_rows(db, rows)
        above = [child for each in above for child in each.dimensions]


def _insert_successions(
    db: Session, project: Project, criteria: Criteria, change: NodeChange
) -> None:
    """A row for each key that left before the file was written: it leads on, and is never used again."""
    if not criteria.successors:
        return
    rows = db.execute(
        select(Node.key, Node.id, Node.parent_id).where(Node.project_id == project.id)
    )
    known = {row.key: row for row in rows}
    gone = [key for key in criteria.successors if key not in known]
    made = _insert_rows(
        db,
        [
            _gone_row(project, criteria, key, {k: r.parent_id for k, r in known.items()})
            for key in gone
        ],
    )
    ids = {key: row.id for key, row in known.items()} | made
    db.execute(
        insert(NodeSuccession),
        [
            {
                "project_id": project.id,
                "old_id": ids[old],
                "new_id": ids[new],
                "place": place,
                "kind": "split" if len(keys) > 1 else "merge",
                "change_id": change.id,
            }
            for old, keys in criteria.successors.items()
            for place, new in enumerate(keys)
        ],
    )


def _gone_row(
    project: Project, criteria: Criteria, key: str, parents: dict[str, int | None]
) -> dict[str, Any]:
    """Only what a row must have: the file says nothing more of a node that left."""
    stands = criteria.resolve(key)[0]
    if isinstance(criteria.entry(stands).node, Pair):
        pair = Pair(key, "opposed", Attribute(""), Attribute(""))
        parent_id = parents[stands]
        assert parent_id is not None
        return {**_row(project, parent_id, 0, pair), "removed": True}
    return {**_row(project, None, 0, Dimension(key, "")), "removed": True}


def _insert_rows(db: Session, rows: list[dict[str, Any]]) -> dict[str, int]:
    if not rows:
        return {}
    # render_nulls: a dimension and a pair leave different columns empty, and would otherwise not go
    # into one statement.
    insertion = insert(Node).returning(Node.key, Node.id).execution_options(render_nulls=True)
    inserted = db.execute(insertion, rows)
    return {row.key: row.id for row in inserted}


def _children_rows(
    project: Project, parent_id: int, dimension: Dimension
) -> Iterator[dict[str, Any]]:
    for position, child in enumerate(dimension.dimensions):
        yield _row(project, parent_id, position, child)
    for position, pair in enumerate(dimension.pairs):
        yield _row(project, parent_id, position, pair)


def _row(project: Project, parent_id: int | None, position: int, node: TreeNode) -> dict[str, Any]:
    return {
        "project_id": project.id,
        "key": node.key,
        "kind": kind_of(node),
        "parent_id": parent_id,
        "position": position,
        **columns_of(node),
    }

"""Writing the working criteria down as an immutable version."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute, Session

from app.accounts.models import Person
from app.criteria.models import ContradictionSide, CriteriaVersion, Node, PairNeed
from app.criteria.reading import build_tree, current_version, find_nodes
from app.criteria.recording import lock_criteria
from app.criteria.successions import find_successors
from app.errors import Conflict
from app.projects.models import Project
from taxonomy.applicability import Applicability
from taxonomy.contradictions import Rules
from taxonomy.formats.json import sha256, write_json
from taxonomy.tree import Criteria


def freeze_version(
    db: Session, project: Project, *, note: str = "", by: Person | None
) -> CriteriaVersion:
    """Write the working criteria down as the next version. Checks nothing:
    `app.versions.publishing.publish` does.

    Raises Conflict where nothing changed since the last version.
    """
    criteria = lock_criteria(db, project)
    tree = build_tree(criteria, find_nodes(db, project), find_successors(db, project))
    last = current_version(db, project)
    digest = sha256(tree)
    if last is not None and last.sha256 == digest:
        raise Conflict(f"Nothing changed since version {last.number}, so there is nothing new.")
    version = CriteriaVersion(
        project_id=project.id,
        number=last.number + 1 if last else 1,
        sha256=digest,
        content=write_json(tree),
        note=note,
        working_revision=criteria.revision,
        published_by=by.id if by else None,
    )
    db.add(version)
    db.flush()
    _put_needs(db, project, tree)
    _put_sides(db, project, tree)
    return version


def find_needs(db: Session, project: Project, criteria: Criteria) -> list[tuple[int, str]]:
    """The content that an image must hold for each pair of a tree to apply, as (node id, content)."""
    applicability = criteria.derived(Applicability)
    if applicability.is_plain:
        return []
    pairs = _pair_ids(db, project)
    return [(node_id, each) for key, node_id in pairs.items() for each in applicability.needs(key)]


def _put_needs(db: Session, project: Project, criteria: Criteria) -> None:
    columns = (PairNeed.node_id, PairNeed.content)
    _put(db, project, PairNeed, columns, set(find_needs(db, project, criteria)))


def _put_sides(db: Session, project: Project, criteria: Criteria) -> None:
    """Write down what cannot hold together."""
    side = ContradictionSide
    own = _pair_ids(db, project)
    wanted = {
        (own[each.key], each.polarity, each.rule, each.weight)
        for each in criteria.derived(Rules).weights()
    }
    _put(db, project, side, (side.node_id, side.polarity, side.rule, side.weight), wanted)


def _pair_ids(db: Session, project: Project) -> dict[str, int]:
    rows = db.execute(
        select(Node.key, Node.id).where(Node.project_id == project.id, Node.kind == "pair")
    )
    return {row.key: row.id for row in rows}


def _put(
    db: Session,
    project: Project,
    table: type[PairNeed | ContradictionSide],
    columns: Sequence[InstrumentedAttribute[Any]],
    wanted: set[tuple[Any, ...]],
) -> None:
    """Have these rows of a project's nodes in a table, and no others. What stays is not touched: counts are kept of the
    labels that do not apply, and of images whose labels contradict one another.
    """
    own = select(Node.id).where(Node.project_id == project.id)
    known = {tuple(row) for row in db.execute(select(*columns).where(table.node_id.in_(own)))}
    if gone := known - wanted:
        db.execute(delete(table).where(tuple_(*columns).in_(sorted(gone))))
    if new := wanted - known:
        names = [each.key for each in columns]
        db.execute(insert(table), [dict(zip(names, each, strict=True)) for each in sorted(new)])

"""Writing the working criteria down as an immutable version."""

from sqlalchemy import delete, insert, select, tuple_
from sqlalchemy.orm import Session

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
    rows = db.execute(
        select(Node.id, Node.key).where(Node.project_id == project.id, Node.kind == "pair")
    )
    return [(row.id, content) for row in rows for content in applicability.needs(row.key)]


def _put_needs(db: Session, project: Project, criteria: Criteria) -> None:
    own = select(Node.id).where(Node.project_id == project.id)
    place = (PairNeed.node_id, PairNeed.content)
    known = {tuple(row) for row in db.execute(select(*place).where(PairNeed.node_id.in_(own)))}
    needed = set(find_needs(db, project, criteria))
    # What stays is not touched: counts are kept of the labels that do not apply.
    if gone := known - needed:
        db.execute(delete(PairNeed).where(tuple_(*place).in_(sorted(gone))))
    if new := needed - known:
        rows = [{"node_id": node_id, "content": each} for node_id, each in sorted(new)]
        db.execute(insert(PairNeed), rows)


def _put_sides(db: Session, project: Project, criteria: Criteria) -> None:
    """Write down what cannot hold together; what stays is not touched, so that only images with labels of a side that
    changed are counted anew.
    """
    own = {
        row.key: row.id
        for row in db.execute(
            select(Node.id, Node.key).where(Node.project_id == project.id, Node.kind == "pair")
        )
    }
    rows = (ContradictionSide.node_id, ContradictionSide.polarity, ContradictionSide.rule)
    known = {
        tuple(row)
        for row in db.execute(
            select(*rows, ContradictionSide.weight)
            .join(Node, Node.id == ContradictionSide.node_id)
            .where(Node.project_id == project.id)
        )
    }
    wanted = {
        (own[each.key], each.polarity, each.rule, each.weight)
        for each in criteria.derived(Rules).weights()
    }
    if gone := known - wanted:
        places = sorted(each[:3] for each in gone)
        db.execute(delete(ContradictionSide).where(tuple_(*rows).in_(places)))
    if new := wanted - known:
        names = ("node_id", "polarity", "rule", "weight")
        db.execute(
            insert(ContradictionSide), [dict(zip(names, each, strict=True)) for each in sorted(new)]
        )

"""Writing the working criteria down as an immutable version."""

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import CriteriaVersion
from app.criteria.reading import build_tree, current_version, find_nodes
from app.criteria.recording import lock_criteria
from app.criteria.successions import find_successors
from app.errors import Conflict
from app.projects.models import Project
from taxonomy.formats.json import sha256, write_json


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
    return version

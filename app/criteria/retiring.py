"""Taking nodes of the working criteria out of use, and back into it. Their labels are kept."""

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.editing import open_node
from app.criteria.models import Node
from app.criteria.reading import title
from app.criteria.recording import record
from app.criteria.staleness import refuse_stale
from app.criteria.wholeness import refuse_broken
from app.criteria.working import open_working
from app.errors import Conflict
from app.projects.models import Project


def retire(db: Session, project: Project, key: str, *, based_on: int, by: Person) -> Node:
    """Take a node, and with it all that is below it, out of use.

    Raises NotFound, Conflict where it is retired already, Stale where someone changed it since.
    """
    return _set_retired(db, project, key, retired=True, based_on=based_on, by=by)


def restore(db: Session, project: Project, key: str, *, based_on: int, by: Person) -> Node:
    """Bring a retired node back into use. Raises as `retire`, and Conflict where a name of it or of
    what is below it was given to another meanwhile.
    """
    return _set_retired(db, project, key, retired=False, based_on=based_on, by=by)


def _set_retired(
    db: Session, project: Project, key: str, *, retired: bool, based_on: int, by: Person
) -> Node:
    with db.begin_nested():
        working = open_working(db, project)
        node = open_node(db, working, key)
        refuse_stale(db, working, node, based_on)
        if node.retired == retired:
            state = "retired already" if retired else "in use already"
            raise Conflict(f"“{title(node)}” is {state}.")
        node.retired = retired
        node.revision += 1
        refuse_broken(working, [node])
        record(
            db,
            working.criteria,
            "retired" if retired else "restored",
            by=by,
            node=node,
            before={"retired": not retired},
            after={"retired": retired},
        )
    return node

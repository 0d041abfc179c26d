"""Putting a fault that the checks found right, where there is one way to do it."""

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.importing import import_criteria
from app.criteria.reading import working_criteria
from app.errors import Conflict
from app.projects.models import Project
from taxonomy.fixing import fix


def put_right(
    db: Session, project: Project, *, code: str, key: str, based_on: int, by: Person
) -> None:
    """Put the faults of one code right at a node, as a recorded change that can be undone.

    Raises Conflict where there is no such fault any more, or no one way; Stale where the criteria changed
    since the revision `based_on` that was shown.
    """
    fixed = fix(working_criteria(db, project), code, key)
    if fixed is None:
        raise Conflict(
            "There is nothing to put right here any more.", hint="Look at the checks again."
        )
    import_criteria(db, project, fixed, based_on=based_on, by=by, kind="fixed")

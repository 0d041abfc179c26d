"""A bulk action from beginning to end in this process: what `morelli labels bulk` does."""

from collections.abc import Callable

from app.bulk.asking import Wish, ask_for, ask_to_undo_for
from app.bulk.looking import look
from app.bulk.taking import take
from app.bulk.undoing import undo
from app.bulk.working import Report
from app.database import Json, unit_of_work
from app.projects.acting import get_actor
from app.projects.founding import get_project


def do(
    project_slug: str,
    wish: Wish,
    *,
    by: str,
    dry_run: bool,
    report: Report,
    tell: Callable[[Json], None],
) -> Json:
    """Look at what a bulk action would do, `tell` that, and unless `dry_run` do it; returns its id and both.

    `by` is the e-mail address of the member who acts, or empty where the project has one lead. Raises what asking
    and doing raise.
    """
    with unit_of_work() as db:
        project = get_project(db, project_slug)
        action_id = ask_for(db, project, wish, by=get_actor(db, project, by)).id
    found = look(action_id, transaction=unit_of_work, report=report)
    tell(found)
    if dry_run or not found["change"]:
        return {"bulk": action_id, "found": found}
    taken = take(action_id, transaction=unit_of_work, report=report)
    return {"bulk": action_id, "found": found, "taken": taken}


def take_back(project_slug: str, action_id: int, *, by: str, report: Report) -> Json:
    """Take a bulk action back in this process; returns how many images are as before, and how many stay."""
    with unit_of_work() as db:
        project = get_project(db, project_slug)
        ask_to_undo_for(db, project, action_id, by=get_actor(db, project, by))
    return undo(action_id, transaction=unit_of_work, report=report)

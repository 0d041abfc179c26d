"""Asking for a bulk action: what is to be done, to which images; then having it done as it was looked at, or taken back.

Few images are worked on in the request that asks; many by a job.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.bulk.looking import look
from app.bulk.models import KINDS, LONGEST_QUERY, OF_LABELS, BulkAction
from app.bulk.reading import get_action
from app.bulk.taking import refuse_other_version, take
from app.bulk.undoing import undo
from app.bulk.working import count_outcomes
from app.criteria.reading import current_version
from app.errors import Conflict, Invalid, NotFound
from app.images.asked import read_asked
from app.images.finding import MOST_COUNTED, count_images
from app.images.inclusion import is_there
from app.images.models import Image
from app.jobs.models import OPEN_STATES, Job
from app.jobs.queueing import submit
from app.labels.access import get_attribute, get_in_force
from app.projects.models import Membership, Project
from app.queue.assigning import MOST as MOST_GIVEN

JOB = "bulk"
AT_ONCE = 500
"""Images that a request works on itself."""
MOST_CHOSEN = 1_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be done: `kind` names it, `key` and `polarity` the attribute, `person_id` who is given the images.

    `query` is that of the wall's address; or `chosen` are the images one by one. With `replace` what people decided
    otherwise is changed, too.
    """

    kind: str
    key: str = ""
    polarity: str = ""
    person_id: int | None = None
    query: str = ""
    chosen: Sequence[int] = ()
    replace: bool = False


def ask(db: Session, project: Project, wish: Wish, *, by: Person) -> BulkAction:
    """Have what a bulk action would do looked at; nothing is done yet. Raises what `ask_for` raises."""
    return _look(db, project, ask_for(db, project, wish, by=by), by=by)


def ask_for(db: Session, project: Project, wish: Wish, *, by: Person) -> BulkAction:
    """Note a bulk action that is to be looked at.

    Raises Invalid with the field for what makes no sense, Conflict where nothing is published that could be labelled.
    """
    if wish.kind not in KINDS:
        raise Invalid(f"A bulk action is one of {', '.join(KINDS)}.", field="kind")
    action = BulkAction(
        project_id=project.id,
        kind=wish.kind,
        query=_checked_query(wish),
        chosen=_checked_images(db, project, wish.chosen) or None,
        replace=wish.replace,
        created_by=by.id,
    )
    if wish.kind in OF_LABELS:
        in_force = get_in_force(db, project)
        node, _ = get_attribute(db, project, in_force, wish.key, wish.polarity)
        action.node_id, action.polarity = node.id, wish.polarity
        action.version_id = in_force.version_id
    else:
        version = current_version(db, project)
        action.version_id = version.id if version else None
    if wish.kind == "assign":
        action.assignee_id = _checked_member(db, project, wish.person_id)
    db.add(action)
    db.flush()
    return action


def ask_again(db: Session, project: Project, action_id: int, *, by: Person) -> BulkAction:
    """Look again at what an earlier bulk action asked for, as a new one: the filter may find other images by now.

    Raises what `ask` raises, as where its attribute is not in use any more.
    """
    found = get_action(db, project, action_id)
    earlier = found.action
    wish = Wish(
        earlier.kind,
        found.node.key if found.node else "",
        earlier.polarity or "",
        person_id=earlier.assignee_id,
        query=earlier.query,
        chosen=earlier.chosen or (),
        replace=earlier.replace,
    )
    return ask(db, project, wish, by=by)


def _look(db: Session, project: Project, action: BulkAction, *, by: Person) -> BulkAction:
    if _is_small(db, project, action):
        look(action.id, transaction=lambda: nullcontext(db))
    else:
        _submit(db, project, action, by, step="look")
    return action


def ask_to_take(db: Session, project: Project, action_id: int, *, by: Person) -> BulkAction:
    """Do what was looked at, on exactly these images. Where many are concerned a job does it.

    Raises Conflict where it was done already, would change nothing, or anything of it has changed since the look.
    """
    action = _lock(db, project, action_id)
    if action.found is None:
        raise Conflict("What this would do has not been looked at yet.", hint="Wait until it is.")
    if action.taken is not None:
        raise Conflict("This was done already.", hint="Ask for it anew.")
    if action.undone_by is not None:
        raise Conflict("This was taken back.", hint="Ask for it anew.")
    number = action.found["change"]
    if not number:
        raise Conflict("There is nothing to change.")
    if action.kind == "assign" and number > MOST_GIVEN:
        raise Conflict(
            f"Up to {MOST_GIVEN:,} images can be given at once; these are {number:,}.",
            hint="Narrow them down.",
        )
    refuse_other_version(db, project, action)
    if number <= AT_ONCE:
        take(action.id, transaction=lambda: nullcontext(db))
    else:
        _submit(db, project, action, by, step="take")
    return action


def ask_to_undo(db: Session, project: Project, action_id: int, *, by: Person) -> BulkAction:
    """Take a bulk action back in one step: everything is as it stood before, but for what was changed since, which is
    left and can be listed. Raises what `ask_to_undo_for` raises.
    """
    action = ask_to_undo_for(db, project, action_id, by=by)
    if count_outcomes(db, action.id).get("taken", 0) <= AT_ONCE:
        undo(action.id, transaction=lambda: nullcontext(db))
    else:
        _submit(db, project, action, by, step="undo")
    return action


def ask_to_undo_for(db: Session, project: Project, action_id: int, *, by: Person) -> BulkAction:
    """Note who takes a bulk action back. Raises Conflict where nothing of it stands, or a worker is at it."""
    action = _lock(db, project, action_id)
    if action.undone is not None:
        raise Conflict("This was taken back already.")
    if not count_outcomes(db, action.id).get("taken"):
        raise Conflict("Nothing of this was done, so there is nothing to take back.")
    action.undone_by = by.id
    db.flush()
    return action


def _is_small(db: Session, project: Project, action: BulkAction) -> bool:
    if action.chosen is not None:
        return len(action.chosen) <= AT_ONCE
    asked = read_asked(action.query)
    total = count_images(db, project, show=asked.show, text=asked.words, narrowing=asked.narrowing)
    return total.number <= min(AT_ONCE, MOST_COUNTED) and not total.is_more


def _checked_query(wish: Wish) -> str:
    if wish.chosen and wish.query:
        raise Invalid("Either a filter or chosen images, not both.", field="query")
    asked = read_asked(wish.query)
    if asked.show == "aside":
        raise Invalid(
            "Images that were set aside are in nothing: there is nothing to do to them.",
            field="query",
        )
    if len(asked.query) > LONGEST_QUERY:
        raise Invalid("This filter is too long.", field="query")
    return asked.query


def _checked_images(db: Session, project: Project, chosen: Sequence[int]) -> list[int]:
    image_ids = sorted(set(chosen))
    if len(image_ids) > MOST_CHOSEN:
        raise Invalid(f"Choose up to {MOST_CHOSEN:,} images, or a filter.", field="chosen")
    own = select(Image.id).where(
        Image.id == func.any(image_ids), Image.project_id == project.id, is_there()
    )
    if strangers := set(image_ids) - set(db.scalars(own)):
        raise Invalid(f"There is no image {min(strangers)} in this project.", field="chosen")
    return image_ids


def _checked_member(db: Session, project: Project, person_id: int | None) -> int:
    member = db.scalar(
        select(Membership.person_id).where(
            Membership.project_id == project.id, Membership.person_id == person_id
        )
    )
    if member is None:
        raise Invalid("Choose a member of this project.", field="person")
    return member


def _lock(db: Session, project: Project, action_id: int) -> BulkAction:
    action = db.scalar(
        select(BulkAction)
        .where(BulkAction.id == action_id, BulkAction.project_id == project.id)
        .with_for_update()
    )
    if action is None:
        raise NotFound(f"There is no bulk action {action_id} in this project.")
    job = db.get(Job, action.job_id) if action.job_id is not None else None
    if job is not None and job.state in OPEN_STATES:
        raise Conflict("A worker is at this.", hint="Wait until it is done, or cancel its job.")
    return action


def _submit(db: Session, project: Project, action: BulkAction, by: Person, *, step: str) -> None:
    spec = {"bulk_action_id": action.id, "step": step}
    action.job_id = submit(db, project=project, kind=JOB, spec=spec, by=by).id
    db.flush()

"""Reads bulk actions and what they came to, a page at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, aliased

from app.accounts.models import Person
from app.bulk.models import EFFECTS, OF_LABELS, OUTCOMES, BulkAction, BulkImage
from app.bulk.working import count_outcomes
from app.criteria.models import Node
from app.database import LARGEST_KEY
from app.errors import Invalid, NotFound
from app.images.inclusion import is_there
from app.images.models import Image
from app.jobs.models import OPEN_STATES, Job
from app.projects.models import Project

PAGE = 50
WORDS = {
    "confirm": "Confirm",
    "add": "Add",
    "reject": "Reject",
    "doubt": "Mark as unsure:",
    "done": "Mark as done",
    "reopen": "Mark as not done",
    "assign": "Give to",
}


@dataclass(frozen=True, slots=True)
class ActionRow:
    """A bulk action with its job, who asked for it, and the names of what it is about."""

    action: BulkAction
    job: Job | None
    by: str
    node: Node | None
    assignee: str | None
    undone_by: str | None

    @property
    def is_working(self) -> bool:
        return self.job is not None and self.job.state in OPEN_STATES

    @property
    def state(self) -> str:
        """What has become of it: `working`, `undone`, `done`, `found`, or `stopped` where its job did not come to its end."""
        if self.is_working:
            return "working"
        if self.action.undone is not None:
            return "undone"
        if self.job is not None and self.job.state != "succeeded":
            return "stopped"
        return "done" if self.action.taken is not None else "found"

    @property
    def attribute(self) -> str:
        """What the attribute is called now, with its sign; empty where none is concerned."""
        if self.node is None:
            return ""
        is_positive = self.action.polarity == "positive"
        name = self.node.positive_name if is_positive else self.node.negative_name
        return f"{'+' if is_positive else '−'} {name or self.node.key}"

    @property
    def title(self) -> str:
        """What it does, in words."""
        about = self.assignee if self.action.kind == "assign" else self.attribute
        return f"{WORDS[self.action.kind]} {about}".strip()

    @property
    def is_of_labels(self) -> bool:
        return self.action.kind in OF_LABELS


@dataclass(frozen=True, slots=True)
class ImageRow:
    """An image of a bulk action: what it would do there, what stood, and what became of it."""

    image_id: int
    name: str
    effect: str
    before: str | None
    contradictions: int
    outcome: str | None


def get_action(db: Session, project: Project, action_id: int) -> ActionRow:
    """A bulk action of this project. Raises NotFound."""
    if not 0 < action_id <= LARGEST_KEY:
        raise NotFound(f"There is no bulk action {action_id} in this project.")
    row = db.execute(_rows(project).where(BulkAction.id == action_id)).one_or_none()
    if row is None:
        raise NotFound(f"There is no bulk action {action_id} in this project.")
    return ActionRow(*row)


def find_actions(
    db: Session, project: Project, *, before: int | None = None, limit: int = PAGE
) -> Sequence[ActionRow]:
    """Bulk actions, newest first."""
    statement = _rows(project).order_by(BulkAction.id.desc()).limit(limit)
    if before is not None:
        statement = statement.where(BulkAction.id < before)
    return [ActionRow(*row) for row in db.execute(statement)]


def _rows(project: Project) -> Select[BulkAction, Job, str, Node, str, str]:
    assignee, undoer = aliased(Person), aliased(Person)
    return (
        select(BulkAction, Job, Person.name, Node, assignee.name, undoer.name)
        .join(Person, Person.id == BulkAction.created_by)
        .outerjoin(Job, Job.id == BulkAction.job_id)
        .outerjoin(Node, Node.id == BulkAction.node_id)
        .outerjoin(assignee, assignee.id == BulkAction.assignee_id)
        .outerjoin(undoer, undoer.id == BulkAction.undone_by)
        .where(BulkAction.project_id == project.id)
    )


def count_done(db: Session, found: ActionRow) -> dict[str | None, int]:
    """How many of the images that it changes came to what; counted only where a job stopped on the way, nothing while
    a worker is at it.
    """
    action = found.action
    if found.state == "stopped":
        return count_outcomes(db, action.id)
    if found.state == "done" and action.taken is not None:
        return {"taken": action.taken["changed"], "passed": action.taken["passed"]}
    return {}


def find_images(
    db: Session,
    action: BulkAction,
    which: str,
    *,
    after: int = 0,
    limit: int = PAGE,
) -> Sequence[ImageRow]:
    """Images of a bulk action by effect or outcome, or (`contradicting`) those where it makes contradictions; in the
    order of their import. Raises Invalid for anything else.
    """
    mine = [BulkImage.bulk_action_id == action.id, BulkImage.image_id > after]
    if which in EFFECTS:
        mine.append(BulkImage.effect == which)
    elif which == "contradicting":
        mine += [BulkImage.effect == "change", BulkImage.contradictions > 0]
    elif which in OUTCOMES:
        mine += [BulkImage.effect == "change", BulkImage.outcome == which]
    else:
        known = (*EFFECTS, "contradicting", *OUTCOMES)
        raise Invalid(f"Images are listed by {', '.join(known)}.", field="which")
    rows = db.execute(
        select(
            Image.id,
            Image.name,
            BulkImage.effect,
            BulkImage.before,
            BulkImage.contradictions,
            BulkImage.outcome,
        )
        .join(Image, Image.id == BulkImage.image_id)
        .where(*mine, is_there())
        .order_by(BulkImage.image_id)
        .limit(limit)
    )
    return [ImageRow(*row) for row in rows]

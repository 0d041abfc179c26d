"""The mark that an image's labels are done, and what makes such an image come back."""

from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Conflict
from app.images.applicability import applies
from app.images.models import Image
from app.labels.access import find_in_force, get_image
from app.labels.models import Label, LabelEvent
from app.labels.reading import find_contradictions_of
from app.labels.recording import How, find_operation, record, used_otherwise
from app.labels.showing import was_shown
from app.projects.models import Project
from app.webhooks.telling import tell


def set_done(
    db: Session,
    project: Project,
    image_id: int,
    *,
    done: bool,
    by: Person,
    operation_id: UUID | None = None,
    sitting: UUID | None = None,
    allow_undecided: bool = True,
    hidden: bool = False,
) -> Image:
    """Mark an image's labels as done, or take the mark away; an event like every other.

    Doing so twice changes nothing, nor does the same `operation_id` again. Raises Conflict where the
    project's option `contradictions_block_done` is set and some stand; and, unless `allow_undecided`,
    where proposals wait for a decision. With suggestions `hidden` only what is seen counts.
    """
    image = get_image(db, project, image_id, lock=True)
    earlier = find_operation(db, operation_id)
    if earlier is not None:
        _refuse_other_use(earlier[0], image, by, "done" if done else "reopen")
        return image
    if (image.done_at is not None) == done and image.came_back_at is None:
        return image
    if done:
        _refuse_unfinished(db, project, image, allow_undecided=allow_undecided, hidden=hidden)
    in_force = find_in_force(db, project)
    before = "done" if image.done_at is not None else None
    after = "done" if done else None
    if before is not None or after is not None:
        record(
            db,
            image,
            How(by, operation_id, sitting, not hidden or was_shown(db, image, by)),
            kind="done" if done else "reopen",
            before=before,
            after=after,
            version_id=in_force.version_id if in_force else None,
        )
    put_mark(db, image, by.id if done else None)
    if done:
        _tell_done(db, image)
    return image


def _tell_done(db: Session, image: Image) -> None:
    data = {"image": image.id, "file": image.name, "sha256": image.sha256}
    data |= {"revision": image.label_revision}
    subject = f"{image.id} at {image.label_revision}"
    tell(db, image.project_id, "image.done", data, subject=subject)


def put_mark(db: Session, image: Image, person_id: int | None) -> None:
    """Set or clear the mark of a locked image, without an event."""
    image.done_at = db.scalar(select(text("clock_timestamp()"))) if person_id else None
    image.done_by = person_id
    image.came_back_at = None
    db.flush()


def count_undecided(db: Session, image: Image) -> int:
    """How many proposals of an image wait for a decision; those that do not apply to it do not."""
    return (
        db.scalar(
            select(func.count()).where(
                Label.image_id == image.id,
                Label.state == "proposed",
                applies(Label.image_id, Label.node_id),
            )
        )
        or 0
    )


def _refuse_other_use(event: LabelEvent, image: Image, by: Person, kind: str) -> None:
    was = (event.image_id, event.person_id, event.node_id, event.kind)
    if was != (image.id, by.id, None, kind):
        raise used_otherwise()


def _refuse_unfinished(
    db: Session, project: Project, image: Image, *, allow_undecided: bool, hidden: bool
) -> None:
    if not allow_undecided and not hidden and (undecided := count_undecided(db, image)):
        raise Conflict(
            f"{undecided} {'label is' if undecided == 1 else 'labels are'} undecided.",
            field="allow_undecided",
            hint="Decide them, or say that they may stay so.",
            undecided=undecided,
        )
    if not project.options.get("contradictions_block_done"):
        return
    found = find_contradictions_of(db, project, image, suggestions=not hidden)
    if found:
        raise Conflict(
            f"{len(found)} contradictions stand: {found[0].message}",
            hint="Resolve them before marking the image as done.",
        )


# An agent's new proposals open an image again; what only refreshes or repeats does not.
_BRING_BACK = text(
    """
    WITH opened AS (
        UPDATE image SET done_at = NULL, done_by = NULL, came_back_at = clock_timestamp(),
            label_revision = label_revision + 1
        WHERE done_at IS NOT NULL AND id IN (
            SELECT image_id FROM label_event
            WHERE image_id = ANY(:images) AND agent_run_id = :agent_run_id AND kind IN ('propose', 'import')
              AND image_revision = image.label_revision AND node_id IS NOT NULL
        )
        RETURNING id, label_revision
    )
    INSERT INTO label_event (image_id, kind, before, image_revision, agent_run_id, version_id)
    SELECT id, 'reopen', 'done', label_revision, :agent_run_id, :version_id FROM opened
    """
)


def bring_back(db: Session, image_ids: list[int], *, agent_run_id: int, version_id: int) -> None:
    """Open those of these locked images again that were done and have just got new proposals."""
    values = {"images": image_ids, "agent_run_id": agent_run_id, "version_id": version_id}
    db.execute(_BRING_BACK, values)


def list_again(db: Session, project: Project) -> None:
    """List the project's finished images as "new since done", after new pairs came into force.

    They stay done, so that a dataset of finished images does not lose them all at once.
    """
    db.execute(
        text(
            "UPDATE image SET came_back_at = clock_timestamp()"
            " WHERE project_id = :project AND done_at IS NOT NULL AND came_back_at IS NULL"
        ),
        {"project": project.id},
    )
    db.expire_all()

"""Taking back what one did: a named action, the last one on an image, the last one of a sitting."""

from datetime import timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.orm import Session, aliased

from app.accounts.models import Person
from app.criteria.models import Node
from app.database import LARGEST_KEY
from app.errors import Conflict, NotAllowed, NotFound
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.access import get_image, lock_image
from app.labels.finishing import put_mark
from app.labels.models import PUBLICATION_KINDS, LabelEvent
from app.labels.recording import (
    NOT_UNDOABLE,
    SITTING,
    How,
    Saved,
    apply_event,
    find_operation,
    load_attribute,
    load_marks,
    not_undone,
    record,
    refuse_covered,
    saved_as,
    used_otherwise,
)
from app.labels.showing import was_shown
from app.labels.stating import undo_statement
from app.labels.unfolding import happenings
from app.projects.models import Project


def undo(
    db: Session,
    project: Project,
    image_id: int,
    *,
    by: Person,
    event_id: int | None = None,
    operation_id: UUID | None = None,
    sitting: UUID | None = None,
    hidden: bool = False,
) -> Saved:
    """Restore what stood before one's own action on an image: the given one, or the last of the last
    hours that is not yet undone. Marks as done and statements about style and content are actions too.

    Undoing is itself an event. Raises Conflict where there is nothing to undo or something else
    happened to the attribute since, NotAllowed for another person's action.
    """
    image = lock_image(db, project, image_id)
    earlier = find_operation(db, operation_id)
    if earlier is not None:
        return _same_undo(earlier, by, image.id).as_seen(hidden=hidden)
    wanted = _get_undoable(db, image, by, event_id)
    how = How(by, operation_id, sitting, wanted.suggestion_visible or was_shown(db, image, by))
    return _undo(db, image, wanted, how).as_seen(hidden=hidden)


def take_back(
    db: Session,
    project: Project,
    *,
    by: Person,
    operation_id: UUID,
    sitting: UUID | None = None,
    undoes: UUID | None = None,
    hidden: bool = False,
) -> Saved:
    """Take back one's newest action of a sitting that still stands, whatever image it was on; or the
    action whose operation id is `undoes`.

    A sitting reaches back some hours at most. Raises Conflict where nothing of it is left.
    """
    earlier = find_operation(db, operation_id)
    if earlier is not None:
        return _same_undo(earlier, by, None).as_seen(hidden=hidden)
    image_id, event_id = (
        _find_named(db, project, by, undoes) if undoes else _find_newest(db, project, by, sitting)
    )
    return undo(
        db,
        project,
        image_id,
        by=by,
        event_id=event_id,
        operation_id=operation_id,
        sitting=sitting,
        hidden=hidden,
    )


def _same_undo(earlier: tuple[LabelEvent, str | None], by: Person, image_id: int | None) -> Saved:
    event, key = earlier
    is_elsewhere = image_id is not None and event.image_id != image_id
    if is_elsewhere or event.person_id != by.id or event.kind != "undo":
        raise used_otherwise()
    return saved_as(event, key)


def _undo(db: Session, image: Image, wanted: LabelEvent, how: How) -> Saved:
    if wanted.trait_kind is not None:
        return undo_statement(db, image, wanted, how)
    if wanted.node_id is None or wanted.polarity is None:
        return _undo_mark(db, image, wanted, how)
    node = db.get_one(Node, wanted.node_id)
    attribute = load_attribute(db, image, node, wanted.polarity, node.key)
    effective = not_undone(attribute.events)
    refuse_covered(effective, wanted)
    event = record(
        db,
        image,
        how,
        kind="undo",
        before=attribute.state,
        after=wanted.before,
        version_id=effective[-2].version_id if len(effective) > 1 else wanted.version_id,
        node=node,
        polarity=wanted.polarity,
        undoes_id=wanted.id,
    )
    apply_event(db, attribute, event, effective[:-1])
    return saved_as(event, node.key)


def _undo_mark(db: Session, image: Image, wanted: LabelEvent, how: How) -> Saved:
    effective = not_undone(load_marks(db, image))
    refuse_covered(effective, wanted)
    event = record(
        db,
        image,
        how,
        kind="undo",
        before=wanted.after,
        after=wanted.before,
        version_id=wanted.version_id,
        undoes_id=wanted.id,
    )
    marked = effective[-2].person_id if len(effective) > 1 and wanted.before == "done" else None
    put_mark(db, image, (marked or how.by.id) if wanted.before == "done" else None)
    return saved_as(event, None)


def _own_actions(by: Person) -> Select[LabelEvent]:
    """A person's actions that are not undone, newest first."""
    undoing = aliased(LabelEvent)
    return (
        select(LabelEvent)
        .outerjoin(
            undoing,
            (undoing.undoes_id == LabelEvent.id) & (undoing.image_id == LabelEvent.image_id),
        )
        .where(
            LabelEvent.person_id == by.id,
            LabelEvent.kind.not_in(NOT_UNDOABLE),
            LabelEvent.bulk_action_id.is_(None),
            undoing.id.is_(None),
        )
        .order_by(LabelEvent.id.desc())
    )


def _recent() -> ColumnElement[bool]:
    return LabelEvent.at > func.clock_timestamp() - timedelta(seconds=SITTING.total_seconds())


def _find_newest(
    db: Session, project: Project, by: Person, sitting: UUID | None
) -> tuple[int, int]:
    later, undoing = happenings("later"), aliased(LabelEvent)
    # What somebody changed since is passed over, it is not this person's to take back; but for what they
    # have taken back themselves.
    is_covered = (
        select(later.c.id)
        .outerjoin(
            undoing, (undoing.undoes_id == later.c.id) & (undoing.image_id == LabelEvent.image_id)
        )
        .where(
            later.c.image_id == LabelEvent.image_id,
            later.c.node_id.is_not_distinct_from(LabelEvent.node_id),
            later.c.polarity.is_not_distinct_from(LabelEvent.polarity),
            later.c.trait_kind.is_not_distinct_from(LabelEvent.trait_kind),
            later.c.trait_value.is_not_distinct_from(LabelEvent.trait_value),
            # What an agent sees of style and content stands beside what people say.
            later.c.trait_kind.is_(None) | later.c.agent_run_id.is_(None),
            later.c.id > LabelEvent.id,
            later.c.person_id.is_distinct_from(by.id),
            later.c.kind != "undo",
            undoing.id.is_(None),
        )
        .exists()
    )
    event = db.scalar(
        _own_actions(by)
        .join(Image, Image.id == LabelEvent.image_id)
        .where(
            Image.project_id == project.id,
            in_use(),
            LabelEvent.sitting == sitting,
            _recent(),
            ~is_covered,
        )
        .limit(1)
    )
    if event is None:
        raise Conflict("You have done nothing in this sitting that could be taken back.")
    return event.image_id, event.id


def _find_named(db: Session, project: Project, by: Person, undoes: UUID) -> tuple[int, int]:
    found = find_operation(db, undoes)
    if found is None or found[0].person_id != by.id:
        raise Conflict("There is no action of yours with this operation id.", field="undoes")
    get_image(db, project, found[0].image_id)
    return found[0].image_id, found[0].id


def _get_undoable(db: Session, image: Image, by: Person, event_id: int | None) -> LabelEvent:
    if event_id is None:
        last = db.scalar(
            _own_actions(by).where(LabelEvent.image_id == image.id, _recent()).limit(1)
        )
        if last is None:
            raise Conflict("You have changed nothing here of late that could be undone.")
        return last
    event = None
    if 0 < event_id <= LARGEST_KEY:
        event = db.scalar(
            select(LabelEvent).where(LabelEvent.image_id == image.id, LabelEvent.id == event_id)
        )
    if event is None:
        raise NotFound(f"There is no action {event_id} on this image.")
    if event.kind in PUBLICATION_KINDS:
        raise Conflict("This was done by a publication of the criteria and stays.")
    if event.person_id != by.id:
        raise NotAllowed(
            "This action is someone else's.", hint="Set the label to what it should be instead."
        )
    if event.kind == "import":
        raise Conflict(
            "This came from a file and stays in the history.",
            hint="Set the label to what it should be.",
        )
    if event.bulk_action_id is not None:
        raise Conflict(
            "This was done to many images at once.",
            hint="Take the bulk action back as a whole, or set the label to what it should be.",
        )
    if event.kind == "undo":
        raise Conflict("An undoing cannot be undone.", hint="Do the action again instead.")
    return event

"""Saying what style an image is in and what content it holds; each statement is an event like those of labels."""

from collections.abc import Iterable
from typing import cast
from uuid import UUID

from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Invalid, Stale
from app.images.models import Image
from app.images.traits import find_said, put_said, put_seen
from app.labels.access import get_in_force, lock_image
from app.labels.models import LabelEvent
from app.labels.recording import (
    How,
    Saved,
    find_operation,
    not_undone,
    record,
    refuse_covered,
    saved_as,
    used_otherwise,
)
from app.labels.showing import was_shown
from app.projects.models import Project
from taxonomy.applicability import Kind
from taxonomy.tree import Criteria

_STATES = {None: None, True: "present", False: "absent"}
_PRESENT = {None: None, "present": True, "absent": False}
_WORDS = {None: "nothing", True: "it is there", False: "it is not there"}


def state_trait(
    db: Session,
    project: Project,
    image_id: int,
    *,
    kind: Kind,
    value: str,
    present: bool | None,
    seen: bool | None,
    by: Person,
    operation_id: UUID | None = None,
    sitting: UUID | None = None,
    hidden: bool = False,
) -> Image:
    """Say that an image has a style or content, or lacks it; None takes back what people said.

    `seen` is what people had said when the person looked. Saying the same, or the same `operation_id`
    again, changes nothing. Raises Invalid for what the criteria do not list, Stale where someone else has
    said otherwise since, Conflict for an operation id that stands for another action.
    """
    in_force = get_in_force(db, project)
    _refuse_unlisted(in_force.criteria, kind, value)
    image = lock_image(db, project, image_id)
    earlier = find_operation(db, operation_id)
    if earlier is not None:
        _refuse_other_use(earlier[0], image, by, kind, value)
        return image
    now = find_said(db, image, kind, value)
    if now == present:
        return image
    if now != seen:
        raise Stale(
            f"Someone has said of “{value}” since: {_WORDS[now]}.",
            hint="Nothing of yours was saved. Look again.",
            theirs={"present": now},
            yours={"present": present},
        )
    record(
        db,
        image,
        How(by, operation_id, sitting, not hidden or was_shown(db, image, by)),
        kind="state",
        before=_STATES[now],
        after=_STATES[present],
        version_id=in_force.version_id,
        trait=(kind, value),
    )
    put_said(db, image, kind, value, present=present, person_id=by.id)
    return image


def undo_statement(db: Session, image: Image, wanted: LabelEvent, how: How) -> Saved:
    """Restore what people had said before a statement about a locked image. Raises Conflict where
    somebody said something else since.
    """
    kind, value = cast(Kind, wanted.trait_kind), wanted.trait_value or ""
    effective = not_undone(_load_statements(db, image, kind, value))
    refuse_covered(effective, wanted)
    event = record(
        db,
        image,
        how,
        kind="undo",
        before=wanted.after,
        after=wanted.before,
        version_id=wanted.version_id,
        trait=(kind, value),
        undoes_id=wanted.id,
    )
    author = effective[-2].person_id if len(effective) > 1 else None
    put_said(db, image, kind, value, present=_PRESENT[wanted.before], person_id=author or how.by.id)
    return saved_as(event, None)


def record_seen(
    db: Session,
    agent_run_id: int,
    criteria: Criteria,
    version_id: int,
    found: Iterable[tuple[int, Kind, str]],
) -> None:
    """Keep what an agent saw of images (image, kind, value), under a version of the criteria.

    What the criteria do not list is left out: an agent may name anything. What agents had seen before
    is no event.
    """
    listed = {("style", each.id) for each in criteria.styles}
    listed |= {("content", each.id) for each in criteria.content}
    seen = [each for each in found if each[1:] in listed]
    images = _lock(db, {image_id for image_id, _, _ in seen})
    new = put_seen(db, agent_run_id, seen)
    for image_id in {image_id for image_id, _, _ in new}:
        images[image_id].label_revision += 1
    if new:
        db.execute(
            insert(LabelEvent),
            [
                {"image_id": image_id, "trait_kind": kind, "trait_value": value, "kind": "state"}
                | {"after": "present", "agent_run_id": agent_run_id, "version_id": version_id}
                | {"image_revision": images[image_id].label_revision}
                for image_id, kind, value in new
            ],
        )


def _lock(db: Session, image_ids: set[int]) -> dict[int, Image]:
    # In the order of their ids, as every writer of labels does.
    rows = db.scalars(
        select(Image)
        .where(Image.id == func.any(list(image_ids)))
        .order_by(Image.id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    return {image.id: image for image in rows}


def _refuse_unlisted(criteria: Criteria, kind: Kind, value: str) -> None:
    listed = criteria.styles if kind == "style" else criteria.content
    if value not in {each.id for each in listed}:
        raise Invalid(f"The criteria list no {kind} “{value}”.", field="value")


def _refuse_other_use(event: LabelEvent, image: Image, by: Person, kind: Kind, value: str) -> None:
    was = (event.image_id, event.person_id, event.kind, event.trait_kind, event.trait_value)
    if was != (image.id, by.id, "state", kind, value):
        raise used_otherwise()


def _load_statements(db: Session, image: Image, kind: Kind, value: str) -> list[LabelEvent]:
    """What people said of one trait of an image, oldest first."""
    return list(
        db.scalars(
            select(LabelEvent)
            .where(
                LabelEvent.image_id == image.id,
                LabelEvent.trait_kind == kind,
                LabelEvent.trait_value == value,
                LabelEvent.agent_run_id.is_(None),
            )
            .order_by(LabelEvent.id)
        )
    )

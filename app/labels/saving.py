"""One action on one label: confirm, reject, add, withdraw, undo; and marking an image as done.

Every action locks the image's row, so that actions on one image happen one after another, and writes
the label, its event and the image's new label revision in one transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.errors import Conflict, Invalid, NotAllowed, NotFound, Stale
from app.images.models import Image
from app.labels.access import BIGGEST, get_attribute, get_image, get_in_force
from app.labels.models import Label, LabelEvent
from app.labels.reading import find_contradictions_of
from app.projects.models import Project

Wanted = Literal["confirmed", "rejected", "withdrawn"]
VERBS = {"confirmed": "confirm", "rejected": "reject", "withdrawn": "withdraw"}
# What a person did, but not as an action on this label: an undoing, a publication that moved labels.
NOT_UNDOABLE = ("undo", "follow")
DID = {None: "withdrew", "confirmed": "confirmed", "rejected": "rejected"}


@dataclass(frozen=True)
class Saved:
    """What one action did. `state` is the label's state after it, None where it is gone.

    `revision` is the image's label revision that the action made; an edit of the same attribute
    that builds on this answer names it as `based_on`.
    """

    event_id: int
    key: str
    polarity: str
    kind: str
    before: str | None
    state: str | None
    revision: int


@dataclass(frozen=True)
class _Attribute:
    """One attribute of one locked image: its label as it stands and all that happened to it."""

    image: Image
    node: Node
    polarity: str
    name: str
    label: Label | None
    events: Sequence[LabelEvent]

    @property
    def state(self) -> str | None:
        return self.label.state if self.label else None


def save(
    db: Session,
    project: Project,
    image_id: int,
    *,
    key: str,
    polarity: str,
    state: Wanted,
    based_on: int,
    operation_id: UUID,
    by: Person,
    suggestion_visible: bool = True,
) -> Saved:
    """Confirm, reject, add or withdraw one attribute of an image.

    `confirmed` adds the attribute where no label stands; `withdrawn` takes back one's own addition.
    `based_on` is the image's label revision in which this attribute was seen. Edits of different
    attributes merge. Raises Stale, with both values, where a person changed this attribute since to
    something else; agreeing with them is recorded and no conflict, nor is a proposal, which anyone
    may decide. The same `operation_id` again gives the same answer and changes nothing.
    """
    image = get_image(db, project, image_id, lock=True)
    earlier = _find_operation(db, operation_id)
    if earlier is not None:
        _refuse_other_use(earlier, image, by, key, polarity, state)
        return _saved(earlier[0], key)
    if state not in VERBS:
        raise Invalid(f"A label is set to {', '.join(VERBS)}.", field="state")
    if not 0 <= based_on <= image.label_revision:
        raise Invalid(
            f"The image's labels are at revision {image.label_revision}; nothing can be based on "
            f"revision {based_on}.",
            field="based_on",
            hint="Load the image's labels again.",
        )
    in_force = get_in_force(db, project)
    node, name = get_attribute(db, project, in_force, key, polarity)
    attribute = _load(db, image, node, polarity, name)
    _refuse_stale(db, attribute, state, based_on, by)
    _refuse_impossible(attribute, state, by)
    event = _record(
        db,
        attribute,
        kind=VERBS[state] if attribute.label else "add",
        after=None if state == "withdrawn" else state,
        by=by,
        version_id=in_force.version_id,
        operation_id=operation_id,
        suggestion_visible=suggestion_visible,
    )
    _stand(db, attribute, event, [*_not_undone(attribute.events), event])
    return _saved(event, key)


def undo(
    db: Session,
    project: Project,
    image_id: int,
    *,
    by: Person,
    event_id: int | None = None,
    operation_id: UUID | None = None,
) -> Saved:
    """Restore what stood before one's own action: the given one, or the last not yet undone.

    Undoing is itself an event. Raises Conflict where there is nothing to undo or something else
    happened to the attribute since, NotAllowed for another person's action.
    """
    image = get_image(db, project, image_id, lock=True)
    earlier = _find_operation(db, operation_id) if operation_id else None
    if earlier is not None:
        event, node = earlier
        if event.image_id != image.id or event.person_id != by.id or event.kind != "undo":
            raise _used_otherwise()
        return _saved(event, node.key)
    wanted = _get_undoable(db, image, by, event_id)
    node = db.get_one(Node, wanted.node_id)
    attribute = _load(db, image, node, wanted.polarity, node.key)
    standing = _not_undone(attribute.events)
    if not standing or standing[-1].id != wanted.id:
        raise Conflict(
            "This cannot be undone any more: the label was changed again since.",
            hint="Set it to what it should be.",
        )
    event = _record(
        db,
        attribute,
        kind="undo",
        after=wanted.before,
        by=by,
        version_id=standing[-2].version_id if len(standing) > 1 else wanted.version_id,
        operation_id=operation_id,
        suggestion_visible=wanted.suggestion_visible,
        undoes_id=wanted.id,
    )
    _stand(db, attribute, event, standing[:-1])
    return _saved(event, node.key)


def set_done(db: Session, project: Project, image_id: int, *, done: bool, by: Person) -> Image:
    """Mark an image's labels as done, or take the mark away. Doing so twice changes nothing.

    Raises Conflict where the project's option `contradictions_block_done` is set and some stand.
    """
    image = get_image(db, project, image_id, lock=True)
    if (image.done_at is not None) == done:
        return image
    if done and project.options.get("contradictions_block_done"):
        _refuse_contradictions(db, project, image)
    image.done_at = db.scalar(select(text("clock_timestamp()"))) if done else None
    image.done_by = by.id if done else None
    db.flush()
    return image


def _refuse_contradictions(db: Session, project: Project, image: Image) -> None:
    found = find_contradictions_of(db, project, image)
    if found:
        raise Conflict(
            f"{len(found)} contradictions stand: {found[0].message}",
            hint="Resolve them before marking the image as done.",
        )


def _find_operation(db: Session, operation_id: UUID) -> tuple[LabelEvent, Node] | None:
    row = db.execute(
        select(LabelEvent, Node)
        .join(Node, Node.id == LabelEvent.node_id)
        .where(LabelEvent.operation_id == operation_id)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def _used_otherwise() -> Conflict:
    return Conflict(
        "This operation id already stands for another action.",
        field="operation_id",
        hint="Make a new one for every action.",
    )


def _refuse_other_use(
    earlier: tuple[LabelEvent, Node], image: Image, by: Person, key: str, polarity: str, state: str
) -> None:
    event, node = earlier
    after = None if state == "withdrawn" else state
    was = (event.image_id, event.person_id, node.key, event.polarity, event.after)
    if was != (image.id, by.id, key, polarity, after) or event.kind == "undo":
        raise _used_otherwise()


def _load(db: Session, image: Image, node: Node, polarity: str, name: str) -> _Attribute:
    label = db.scalar(
        select(Label)
        .where(Label.image_id == image.id, Label.node_id == node.id, Label.polarity == polarity)
        .execution_options(populate_existing=True)
    )
    events = db.scalars(
        select(LabelEvent)
        .where(
            LabelEvent.image_id == image.id,
            LabelEvent.node_id == node.id,
            LabelEvent.polarity == polarity,
        )
        .order_by(LabelEvent.id)
    ).all()
    return _Attribute(image, node, polarity, name, label, events)


def _refuse_stale(
    db: Session, attribute: _Attribute, wanted: Wanted, based_on: int, by: Person
) -> None:
    changed = [
        each
        for each in attribute.events
        if each.person_id and each.image_revision > based_on and each.before != each.after
    ]
    after = None if wanted == "withdrawn" else wanted
    if not changed or attribute.state == after:
        return
    last = changed[-1]
    person = db.get_one(Person, last.person_id)
    who = "You, in another window," if person.id == by.id else person.name
    did = "undid an action on" if last.kind == "undo" else DID[last.after]
    raise Stale(
        f"{who} {did} “{attribute.name}” since you saw it; you wanted to {VERBS[wanted]} it.",
        hint="Keep what stands, or save yours again on top of it.",
        key=attribute.node.key,
        polarity=attribute.polarity,
        yours={"state": after},
        theirs={
            "state": attribute.state,
            "by": person.name,
            "at": last.at,
            "revision": last.image_revision,
        },
        revision=attribute.image.label_revision,
    )


def _refuse_impossible(attribute: _Attribute, wanted: Wanted, by: Person) -> None:
    if wanted == "confirmed":
        return
    if attribute.label is None:
        raise Invalid(
            f"“{attribute.name}” is not a label of this image, so there is nothing to "
            f"{VERBS[wanted]}.",
            field="state",
        )
    if wanted == "withdrawn" and (
        attribute.label.source != "person"
        or attribute.state != "confirmed"
        or _adder(attribute.events) != by.id
    ):
        raise NotAllowed(
            f"Only your own addition can be withdrawn, and “{attribute.name}” is none.",
            hint="Reject it instead.",
        )


def _adder(events: Sequence[LabelEvent]) -> int | None:
    standing = _not_undone(events)
    return next((each.person_id for each in reversed(standing) if each.before is None), None)


def _not_undone(events: Sequence[LabelEvent]) -> list[LabelEvent]:
    undone = {each.undoes_id for each in events}
    return [each for each in events if each.kind != "undo" and each.id not in undone]


def _get_undoable(db: Session, image: Image, by: Person, event_id: int | None) -> LabelEvent:
    undoing = select(LabelEvent.undoes_id).where(
        LabelEvent.image_id == image.id, LabelEvent.undoes_id.is_not(None)
    )
    actions = select(LabelEvent).where(LabelEvent.image_id == image.id)
    if event_id is None:
        last = db.scalar(
            actions.where(
                LabelEvent.person_id == by.id,
                LabelEvent.kind.not_in(NOT_UNDOABLE),
                LabelEvent.id.not_in(undoing),
            )
            .order_by(LabelEvent.id.desc())
            .limit(1)
        )
        if last is None:
            raise Conflict("You have changed nothing here that could be undone.")
        return last
    event = None
    if 0 < event_id <= BIGGEST:
        event = db.scalar(actions.where(LabelEvent.id == event_id))
    if event is None:
        raise NotFound(f"There is no action {event_id} on this image.")
    if event.person_id != by.id:
        raise NotAllowed(
            "This action is someone else's.", hint="Set the label to what it should be instead."
        )
    if event.kind == "follow":
        raise Conflict("This was done by a publication of the criteria and stays.")
    if event.kind == "undo":
        raise Conflict("An undoing cannot be undone.", hint="Do the action again instead.")
    return event


def _record(
    db: Session,
    attribute: _Attribute,
    *,
    kind: str,
    after: str | None,
    by: Person,
    version_id: int,
    operation_id: UUID | None,
    suggestion_visible: bool,
    undoes_id: int | None = None,
) -> LabelEvent:
    # The image's lock orders actions on one image; the same operation id on two images at once
    # meets only here, at the unique index.
    image = attribute.image
    event: LabelEvent | None = db.scalar(
        insert(LabelEvent)
        .values(
            image_id=image.id,
            node_id=attribute.node.id,
            polarity=attribute.polarity,
            kind=kind,
            before=attribute.state,
            after=after,
            image_revision=image.label_revision + 1,
            person_id=by.id,
            version_id=version_id,
            operation_id=operation_id,
            suggestion_visible=suggestion_visible,
            undoes_id=undoes_id,
        )
        .on_conflict_do_nothing()
        .returning(LabelEvent)
    )
    if event is None:
        raise _used_otherwise()
    image.label_revision += 1
    return event


def _stand(
    db: Session, attribute: _Attribute, event: LabelEvent, standing: Sequence[LabelEvent]
) -> None:
    """Bring the label to the state after `event`; `standing` are the events that lead there."""
    label = attribute.label
    if event.after is None:
        if label is not None:
            db.delete(label)
        db.flush()
        return
    if label is None:
        label = Label(
            project_id=attribute.image.project_id,
            image_id=attribute.image.id,
            node_id=attribute.node.id,
            polarity=attribute.polarity,
            source="person",
        )
        db.add(label)
    # Agreeing with a decision leaves it its author; a refreshed proposal is the newer run's.
    made = next(
        each for each in reversed(standing) if each.before != each.after or each.kind == "refresh"
    )
    decided = event.after != "proposed"
    label.state = event.after
    label.version_id = made.version_id
    label.revision = event.image_revision
    label.decided_by = made.person_id if decided else None
    label.decided_at = made.at if decided else None
    db.flush()


def _saved(event: LabelEvent, key: str) -> Saved:
    return Saved(
        event_id=event.id,
        key=key,
        polarity=event.polarity,
        kind=event.kind,
        before=event.before,
        state=event.after,
        revision=event.image_revision,
    )

"""What every action on an image's labels shares: its event, and the state that follows from it.

Whoever calls these has locked the image's row, so that actions on one image happen one after another.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import TypeVar, cast
from uuid import UUID

from sqlalchemy import Integer, Table, bindparam, func, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import set_committed_value
from sqlalchemy.sql.selectable import ExecutableReturnsRows

from app.accounts.models import Person
from app.criteria.models import Node
from app.errors import Conflict
from app.images.models import Image
from app.images.revisions import set_label_revision
from app.labels.models import PUBLICATION_KINDS, DayOfWork, Label, LabelEvent
from app.labels.unfolding import Happening, happened_to

Told = TypeVar("Told", bound=LabelEvent | Happening)

SITTING = timedelta(hours=8)
"""How far back one sitting reaches: what is older is no slip of the hand any more."""

# What a person did, but not as an action on this label: an undoing, an import, a publication that moved labels.
NOT_UNDOABLE = ("undo", "import", *PUBLICATION_KINDS)


@dataclass(frozen=True)
class Saved:
    """What one action did. `state` is the label's state after it, None where it is gone.

    `revision` is the image's label revision that the action made; an edit of the same attribute
    that builds on this answer names it as `based_on`. For an image's mark as done `key` and
    `polarity` are None, and the states are `done` and None; for what is said of its style or content
    `trait` names which (kind, value), and the states are `present`, `absent` and None.
    """

    event_id: int
    image_id: int
    key: str | None
    polarity: str | None
    kind: str
    before: str | None
    state: str | None
    revision: int
    trait: tuple[str, str] | None = None

    def as_seen(self, *, hidden: bool) -> "Saved":
        """The same; for somebody who does not see suggestions, a proposal is no label."""
        if not hidden or "proposed" not in (self.before, self.state):
            return self
        return replace(
            self,
            kind="add" if self.kind in ("confirm", "doubt") else self.kind,
            before=None if self.before == "proposed" else self.before,
            state=None if self.state == "proposed" else self.state,
        )


@dataclass(frozen=True)
class Attribute:
    """One attribute of one locked image: its label as it stands and all that happened to it."""

    image: Image
    node: Node
    polarity: str
    name: str
    label: Label | None
    events: Sequence[Happening]

    @property
    def state(self) -> str | None:
        """The label's state, None where there is none."""
        return self.label.state if self.label else None


_LABEL = (
    select(Label)
    .where(
        Label.image_id == bindparam("image_id"),
        Label.node_id == bindparam("node_id"),
        Label.polarity == bindparam("polarity"),
    )
    .execution_options(populate_existing=True)
)
_OPERATION = (
    select(LabelEvent, Node.key)
    .outerjoin(Node, Node.id == LabelEvent.node_id)
    .where(LabelEvent.operation_id == bindparam("operation_id"))
)


def load_attribute(db: Session, image: Image, node: Node, polarity: str, name: str) -> Attribute:
    """An attribute of an image with its label and its history."""
    place = {"image_id": image.id, "node_id": node.id, "polarity": polarity}
    label = db.scalar(_LABEL, place)
    events = happened_to(db, image, node_id=node.id, polarity=polarity)
    return Attribute(image, node, polarity, name, label, events)


def load_marks(db: Session, image: Image) -> Sequence[LabelEvent]:
    """What happened to an image's mark as done, oldest first."""
    return db.scalars(
        select(LabelEvent)
        .where(
            LabelEvent.image_id == image.id,
            LabelEvent.node_id.is_(None),
            LabelEvent.trait_kind.is_(None),
            LabelEvent.carrying_id.is_(None),
        )
        .order_by(LabelEvent.id)
    ).all()


def not_undone(events: Sequence[Told]) -> list[Told]:
    """The events that still count, without undoings and what they undid."""
    undone = {each.undoes_id for each in events}
    return [each for each in events if each.kind != "undo" and each.id not in undone]


def refuse_covered(effective: Sequence[LabelEvent | Happening], wanted: LabelEvent) -> None:
    """Raise Conflict where an action is not the last one that counts any more."""
    if not effective or effective[-1].id != wanted.id:
        raise Conflict(
            "This cannot be undone any more: it was changed again since.",
            hint="Set it to what it should be.",
        )


def find_operation(db: Session, operation_id: UUID | None) -> tuple[LabelEvent, str | None] | None:
    """The event that an operation id stands for, and the key of its pair."""
    if operation_id is None:
        return None
    row = db.execute(_OPERATION, {"operation_id": operation_id}).one_or_none()
    return (row[0], row[1]) if row else None


def used_otherwise() -> Conflict:
    """The refusal of an operation id that stands for another action."""
    return Conflict(
        "This operation id already stands for another action.",
        field="operation_id",
        hint="Make a new one for every action.",
    )


@dataclass(frozen=True)
class How:
    """Under which circumstances a person acts."""

    by: Person
    operation_id: UUID | None = None
    sitting: UUID | None = None
    suggestion_visible: bool = True


def record(
    db: Session,
    image: Image,
    how: How,
    *,
    kind: str,
    before: str | None,
    after: str | None,
    version_id: int | None,
    node: Node | None = None,
    polarity: str | None = None,
    trait: tuple[str, str] | None = None,
    undoes_id: int | None = None,
) -> LabelEvent:
    """Write one event and raise the image's label revision. Raises Conflict for a used operation id."""
    decisions, images = _day_of(kind, before, of_label=node is not None, of_trait=trait is not None)
    event: LabelEvent | None = db.scalar(
        _recording(counts=bool(decisions or images)),
        {
            "new_image_id": image.id,
            "new_node_id": node.id if node else None,
            "new_polarity": polarity,
            "new_trait_kind": trait[0] if trait else None,
            "new_trait_value": trait[1] if trait else None,
            "new_kind": kind,
            "new_before": before,
            "new_after": after,
            "new_image_revision": image.label_revision + 1,
            "new_person_id": how.by.id,
            "new_version_id": version_id,
            "new_operation_id": how.operation_id,
            "new_sitting": how.sitting,
            "new_suggestion_visible": how.suggestion_visible,
            "new_undoes_id": undoes_id,
            "of_project_id": image.project_id,
            "more_decisions": decisions,
            "more_images": images,
        },
    )
    if event is None:
        raise used_otherwise()
    set_committed_value(image, "label_revision", event.image_revision)
    return event


_EVENTS = cast(Table, LabelEvent.__table__)
_OF_EVENT = (
    *("image_id", "node_id", "polarity", "trait_kind", "trait_value", "kind", "before", "after"),
    *("image_revision", "person_id", "version_id", "operation_id", "sitting", "suggestion_visible"),
    "undoes_id",
)


@cache
def _recording(*, counts: bool) -> ExecutableReturnsRows:
    """One statement for all that an action leaves beside its label: every question costs a save more than
    what it asks for.

    The image's lock orders actions on one image; the same operation id on two images at once meets only
    here, at the unique index, and brings no row.
    """
    event = (
        insert(_EVENTS)
        .values({each: bindparam(f"new_{each}") for each in _OF_EVENT})
        .on_conflict_do_nothing()
    )
    raised = set_label_revision(bindparam("new_image_id"), bindparam("new_image_revision"))
    event = event.add_cte(raised.cte("raised"))
    if counts:
        event = event.add_cte(_counting().cte("counted"))
    return select(LabelEvent).from_statement(event.returning(*_EVENTS.c))


def _counting() -> Insert:
    """An action is added to its person's day; taking one back takes it from the day."""
    counts = {
        DayOfWork.decisions: bindparam("more_decisions", type_=Integer),
        DayOfWork.images: bindparam("more_images", type_=Integer),
    }
    day = insert(DayOfWork).values(
        project_id=bindparam("of_project_id"),
        person_id=bindparam("new_person_id"),
        day=func.date(func.timezone("UTC", func.clock_timestamp())),
        **{column.key: func.greatest(more, 0) for column, more in counts.items()},
    )
    return day.on_conflict_do_update(
        index_elements=["project_id", "person_id", "day"],
        set_={column.key: func.greatest(column + more, 0) for column, more in counts.items()},
    )


DECISIONS = ("confirm", "reject", "doubt", "add", "withdraw")


def _day_of(kind: str, before: str | None, *, of_label: bool, of_trait: bool) -> tuple[int, int]:
    """How many decisions and images more an action makes of its person's day."""
    is_undo = kind == "undo" and not of_trait
    decisions = (kind in DECISIONS) - (is_undo and of_label)
    return decisions, (kind == "done") - (is_undo and not of_label and before == "done")


def apply_event(
    db: Session,
    attribute: Attribute,
    event: LabelEvent,
    effective: Sequence[LabelEvent | Happening],
) -> None:
    """Bring the label to the state after `event`; `effective` are the events that lead there."""
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
        each for each in reversed(effective) if each.before != each.after or each.kind == "refresh"
    )
    assert made.version_id is not None
    decided = event.after != "proposed"
    label.state = event.after
    label.version_id = made.version_id
    label.revision = event.image_revision
    label.decided_by = made.person_id if decided else None
    label.bulk_action_id = made.bulk_action_id if decided else None
    label.decided_at = made.at if decided else None
    db.flush()


def saved_as(event: LabelEvent, key: str | None) -> Saved:
    """What an event tells the person who caused it."""
    return Saved(
        event_id=event.id,
        image_id=event.image_id,
        key=key,
        polarity=event.polarity,
        kind=event.kind,
        before=event.before,
        state=event.after,
        revision=event.image_revision,
        trait=trait_of(event),
    )


def trait_of(event: LabelEvent | Happening) -> tuple[str, str] | None:
    """The style or content that an event is about, None for one of a label or a mark."""
    if event.trait_kind is None or event.trait_value is None:
        return None
    return event.trait_kind, event.trait_value

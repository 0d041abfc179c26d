"""Labels as JSON."""

from datetime import datetime
from typing import Literal, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator

from app.images.traits import Source, Trait
from app.labels.access import InForce
from app.labels.history import Happened
from app.labels.reading import ImageLabels, LabelRow
from app.labels.saving import Saved
from taxonomy.applicability import Kind, Reads
from taxonomy.contradictions import Contradiction
from taxonomy.searching import FoundAttribute
from taxonomy.tree import POLARITIES, Criteria, Entry, Pair, Polarity, Relation

State = Literal["proposed", "confirmed", "rejected", "unsure"]
EventState = State | Literal["done", "present", "absent"]


class Asked(BaseModel):
    """Base of what programs send: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class LabelAction(Asked):
    """One action on one attribute of an image."""

    state: Literal["confirmed", "rejected", "unsure", "withdrawn"]
    sitting: UUID | None = Field(
        default=None,
        description="Made by the client for one piece of work; undoing reaches no further back.",
    )
    based_on: int = Field(ge=0, description="Label revision of the image that the answer is about.")
    operation_id: UUID = Field(description="Made by the client; sending it again is harmless.")
    suggestion_visible: StrictBool = Field(
        default=True,
        description="Whether the agent's suggestions were in view. What was served before counts too.",
    )


class UndoAction(Asked):
    """Undo one action of one's own, or the last."""

    operation_id: UUID
    event_id: int | None = None


class TakeBack(Asked):
    """Take back one's newest action of a sitting, on whatever image, or the one that `undoes` names."""

    operation_id: UUID
    sitting: UUID | None = None
    undoes: UUID | None = Field(
        default=None, description="The operation id of the action, in place of a sitting."
    )

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if self.sitting is None and self.undoes is None:
            raise ValueError("name the sitting, or the action that is to be undone")
        return self


class DoneMark(Asked):
    """Whether the image's labels are done."""

    done: StrictBool
    operation_id: UUID | None = Field(
        default=None, description="Made by the client; sending it again is harmless."
    )
    sitting: UUID | None = None
    allow_undecided: StrictBool = Field(
        default=True, description="False: 409 where proposals still wait for a decision."
    )


class ShownMark(Asked):
    """That the suggestions of an image were in view."""

    shown: Literal[True]


class TraitIn(Asked):
    """What people say of a style or content of an image; null takes it back. `seen` is what they had said
    when one looked.
    """

    present: StrictBool | None
    seen: StrictBool | None
    operation_id: UUID | None = Field(
        default=None, description="Made by the client; sending it again is harmless."
    )
    sitting: UUID | None = None


class TraitOut(BaseModel):
    """A style that an image is in (or is not), or content that it holds (or lacks), and who says so."""

    kind: Kind
    value: str
    present: bool
    source: Source
    by: str | None


class TraitNamed(BaseModel):
    """A style or content by its id."""

    kind: Kind
    value: str


class TraitsOut(BaseModel):
    """What is known of an image: of each style and content by the source that counts most."""

    items: list[TraitOut]


class AttributeOut(BaseModel):
    """One attribute, named by the key of its pair and its polarity."""

    key: str
    polarity: Polarity


class ContradictionOut(BaseModel):
    """Labels that cannot all hold."""

    kind: str
    message: str
    attributes: list[AttributeOut]


class LabelOut(AttributeOut):
    """One label as it stands."""

    name: str
    state: State
    source: Literal["agent", "person", "criteria"]
    agent: str | None
    measure: str | None
    value: float | None
    threshold: float | None
    confidence: float | None
    evidence: str | None
    revision: int
    decided_by: str | None
    decided_at: datetime | None
    version: int
    retired: bool
    reads: Reads = Field(description="Its polarity, or what the image's style makes of it.")
    lacking: list[str] = Field(description="Content for want of which it does not apply.")


class ImageLabelsOut(BaseModel):
    """The labels of one image. `A_pos` and `A_neg` are the names of the confirmed attributes that read so
    in the image's style; labels in `not_applicable` are neither asked nor counted.
    """

    image_id: int
    revision: int
    done: bool
    version: int | None
    labels: list[LabelOut]
    A_pos: list[str]
    A_neg: list[str]
    contradictions: list[ContradictionOut]
    not_applicable: list[LabelOut]


class SavedOut(BaseModel):
    """What an action did. `state` is null where the label is gone.

    Of a mark as done `key` and `polarity` are null and the states `done` and null. Of what is said of style
    or content `trait` names which, and the states are `present`, `absent` and null.
    """

    key: str | None
    polarity: Polarity | None
    event_id: int
    kind: str
    trait: TraitNamed | None
    before: EventState | None
    state: EventState | None
    revision: int
    contradictions: list[ContradictionOut]


class TakenBackOut(SavedOut):
    """What was taken back, and on which image."""

    image_id: int


class DoneOut(BaseModel):
    """Whether the image's labels are done."""

    done: bool
    done_at: datetime | None


class HappenedOut(BaseModel):
    """One event of an image's history; `person` is null for the agent, the attribute of marks as done. `bulk` is the
    bulk action that it belongs to.
    """

    key: str | None
    polarity: Polarity | None
    event_id: int
    name: str | None
    kind: str
    trait: TraitNamed | None
    before: EventState | None
    after: EventState | None
    person: str | None
    agent_run_id: int | None
    revision: int
    at: datetime
    suggestion_visible: bool
    undone: bool
    bulk: int | None


class HistoryOut(BaseModel):
    """A page of an image's history, newest first; `next` goes into `before` for the next page."""

    items: list[HappenedOut]
    next: int | None


class UsableAttributeOut(AttributeOut):
    """An attribute that can be added; `path` names the dimensions above it."""

    name: str
    definition: str
    relation: Relation
    parent: str
    exclusive: bool
    path: list[str]


class UsableAttributesOut(BaseModel):
    """The attributes of one criteria version in tree order."""

    version: int
    items: list[UsableAttributeOut]


def show_contradictions(found: tuple[Contradiction, ...]) -> list[ContradictionOut]:
    return [
        ContradictionOut(
            kind=each.kind,
            message=each.message,
            attributes=[AttributeOut(key=key, polarity=side) for key, side in each.attributes],
        )
        for each in found
    ]


def show_traits(known: tuple[Trait, ...]) -> TraitsOut:
    """What is known of an image as JSON."""
    fields = TraitOut.model_fields
    return TraitsOut(
        items=[TraitOut(**{name: getattr(each, name) for name in fields}) for each in known]
    )


def _label(row: LabelRow) -> LabelOut:
    return LabelOut.model_validate(
        {
            name: getattr(row, name)
            for name in LabelOut.model_fields
            if name not in ("version", "contradictions")
        }
        | {"version": row.version_number}
    )


def show_image_labels(labels: ImageLabels) -> ImageLabelsOut:
    return ImageLabelsOut(
        image_id=labels.image.id,
        revision=labels.revision,
        done=labels.image.done_at is not None,
        version=labels.in_force.number if labels.in_force else None,
        labels=[_label(row) for row in labels.rows],
        A_pos=[row.name for row in labels.named("positive")],
        A_neg=[row.name for row in labels.named("negative")],
        contradictions=show_contradictions(labels.contradictions),
        not_applicable=[_label(row) for row in labels.not_applicable],
    )


def show_saved(saved: Saved, found: tuple[Contradiction, ...]) -> SavedOut:
    """The answer to an action as JSON, with the contradictions that stand after it."""
    return SavedOut.model_validate(
        {
            "event_id": saved.event_id,
            "key": saved.key,
            "polarity": saved.polarity,
            "kind": saved.kind,
            "trait": _show_trait(saved.trait),
            "before": saved.before,
            "state": saved.state,
            "revision": saved.revision,
            "contradictions": show_contradictions(found),
        }
    )


def _show_trait(trait: tuple[str, str] | None) -> dict[str, str] | None:
    return dict(zip(("kind", "value"), trait, strict=True)) if trait else None


def show_taken_back(saved: Saved, found: tuple[Contradiction, ...]) -> TakenBackOut:
    """The answer to an undoing on whatever image."""
    return TakenBackOut.model_validate(
        show_saved(saved, found).model_dump() | {"image_id": saved.image_id}
    )


def show_happened(each: Happened) -> HappenedOut:
    """An event as JSON."""
    return HappenedOut.model_validate(
        {
            "event_id": each.event_id,
            "key": each.key,
            "polarity": each.polarity,
            "name": each.name,
            "kind": each.kind,
            "trait": _show_trait(each.trait),
            "before": each.before,
            "after": each.after,
            "person": each.who,
            "agent_run_id": each.agent_run_id,
            "revision": each.revision,
            "at": each.at,
            "suggestion_visible": each.suggestion_visible,
            "undone": each.is_undone,
            "bulk": each.bulk_action_id,
        }
    )


def show_found(in_force: InForce, found: list[FoundAttribute]) -> UsableAttributesOut:
    """Attributes of a version that a search found as JSON, in its order."""
    items = [
        _usable(in_force.criteria, in_force.criteria.entry(each.key), each.polarity)
        for each in found
    ]
    return UsableAttributesOut(version=in_force.number, items=items)


def _usable(criteria: Criteria, entry: Entry, polarity: Polarity) -> UsableAttributeOut:
    assert isinstance(entry.node, Pair)
    attribute = entry.node.attribute(polarity)
    return UsableAttributeOut(
        key=entry.node.key,
        polarity=polarity,
        name=attribute.name,
        definition=attribute.definition,
        relation=entry.node.relation,
        parent=entry.parent.key if entry.parent else "",
        exclusive=bool(entry.parent and entry.parent.exclusive),
        path=[criteria.dimension(key).name for key in entry.path[:-1]],
    )


def show_usable(in_force: InForce) -> UsableAttributesOut:
    """Every attribute in use of a version as JSON."""
    criteria = in_force.criteria
    items = [
        _usable(criteria, entry, polarity)
        for entry in criteria.walk()
        if isinstance(entry.node, Pair) and not entry.retired
        for polarity in POLARITIES
    ]
    return UsableAttributesOut(version=in_force.number, items=items)

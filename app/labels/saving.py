"""One action on one label: confirm, reject, doubt, add or withdraw it.

Every action locks the image's row, so that actions on one image happen one after another, and writes
the label, its event and the image's new label revision in one transaction.
"""

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.errors import Invalid, NotAllowed, Stale
from app.images.models import Image
from app.labels.access import get_attribute, get_in_force, lock_image
from app.labels.finishing import set_done
from app.labels.models import LabelEvent
from app.labels.recording import (
    Attribute,
    How,
    Saved,
    apply_event,
    find_operation,
    load_attribute,
    not_undone,
    record,
    saved_as,
    used_otherwise,
)
from app.labels.showing import note_shown, was_shown
from app.labels.undoing import take_back, undo
from app.labels.unfolding import Happening
from app.projects.models import Project

__all__ = ["Saved", "Wanted", "save", "set_done", "take_back", "undo"]

Wanted = Literal["confirmed", "rejected", "unsure", "withdrawn"]
KINDS = {"confirmed": "confirm", "rejected": "reject", "unsure": "doubt", "withdrawn": "withdraw"}
WISHES = KINDS | {"unsure": "be unsure of"}
DID = {
    None: "withdrew",
    "confirmed": "confirmed",
    "rejected": "rejected",
    "unsure": "was unsure of",
}


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
    sitting: UUID | None = None,
    suggestion_visible: bool = True,
    hidden: bool = False,
) -> Saved:
    """Confirm, reject, add or withdraw one attribute of an image, or say that one is unsure.

    `confirmed` and `unsure` add the attribute where no label stands; `withdrawn` takes back one's own addition.
    `based_on` is the image's label revision in which this attribute was seen. Edits of different
    attributes merge. Raises Stale, with both values, where a person changed this attribute since to
    something else; agreeing with them is recorded and no conflict, nor is a proposal, which anyone
    may decide. The same `operation_id` again gives the same answer and changes nothing.

    `suggestion_visible` is what the asker says; it is recorded as true also where suggestions of this
    image were served to this person before. `hidden` says that they are not shown to who asks, so
    that the answer must not tell of them either.
    """
    image = lock_image(db, project, image_id)
    earlier = find_operation(db, operation_id)
    if earlier is not None:
        _refuse_other_use(earlier, image, by, key, polarity, state)
        return saved_as(*earlier).as_seen(hidden=hidden)
    if state not in KINDS:
        raise Invalid(f"A label is set to {', '.join(KINDS)}.", field="state")
    if not 0 <= based_on <= image.label_revision:
        raise Invalid(
            f"The image's labels are at revision {image.label_revision}; nothing can be based on "
            f"revision {based_on}.",
            field="based_on",
            hint="Load the image's labels again.",
        )
    in_force = get_in_force(db, project)
    node, name = get_attribute(db, project, in_force, key, polarity)
    attribute = load_attribute(db, image, node, polarity, name)
    _refuse_stale(db, attribute, state, based_on, by, hidden=hidden)
    _refuse_impossible(attribute, state, by, hidden=hidden)
    if suggestion_visible:
        note_shown(db, image, by)
    event = record(
        db,
        image,
        How(by, operation_id, sitting, suggestion_visible or was_shown(db, image, by)),
        kind=KINDS[state] if attribute.label else "add",
        before=attribute.state,
        after=_after(attribute, state),
        version_id=in_force.version_id,
        node=node,
        polarity=polarity,
    )
    apply_event(db, attribute, event, [*not_undone(attribute.events), event])
    return saved_as(event, key).as_seen(hidden=hidden)


def _after(attribute: Attribute, wanted: Wanted) -> str | None:
    if wanted != "withdrawn":
        return wanted
    # Who added it without seeing that it is proposed, leaves the proposal as it was.
    return "proposed" if attribute.label and _was_proposed(attribute) else None


def _was_proposed(attribute: Attribute) -> bool:
    is_persons = attribute.label is not None and attribute.label.source == "person"
    return not is_persons or any(each.after == "proposed" for each in not_undone(attribute.events))


def _refuse_other_use(
    earlier: tuple[LabelEvent, str | None],
    image: Image,
    by: Person,
    key: str,
    polarity: str,
    state: str,
) -> None:
    event, its_key = earlier
    was = (event.image_id, event.person_id, its_key, event.polarity)
    same_end = event.kind == "withdraw" if state == "withdrawn" else event.after == state
    if was != (image.id, by.id, key, polarity) or not same_end or event.kind == "undo":
        raise used_otherwise()


def _refuse_stale(
    db: Session, attribute: Attribute, wanted: Wanted, based_on: int, by: Person, *, hidden: bool
) -> None:
    changed = [
        each
        for each in attribute.events
        if each.person_id and each.image_revision > based_on and each.before != each.after
    ]
    after = _after(attribute, wanted)
    if not changed or attribute.state == after:
        return
    last = changed[-1]
    person = db.get_one(Person, last.person_id)
    who = "You, in another window," if person.id == by.id else person.name
    did = "undid an action on" if last.kind == "undo" else DID.get(last.after, "withdrew")
    stands = None if hidden and attribute.state == "proposed" else attribute.state
    raise Stale(
        f"{who} {did} “{attribute.name}” since you saw it; you wanted to {WISHES[wanted]} it.",
        hint="Keep what stands, or save yours again on top of it.",
        key=attribute.node.key,
        polarity=attribute.polarity,
        yours={"state": None if wanted == "withdrawn" else wanted},
        theirs={
            "state": stands,
            "by": person.name,
            "at": last.at,
            "revision": last.image_revision,
        },
        revision=attribute.image.label_revision,
    )


def _refuse_impossible(attribute: Attribute, wanted: Wanted, by: Person, *, hidden: bool) -> None:
    if wanted in ("confirmed", "unsure"):
        return
    is_unseen = hidden and attribute.state == "proposed"
    if attribute.label is None or is_unseen:
        raise Invalid(
            f"“{attribute.name}” is not a label of this image, so there is nothing to "
            f"{WISHES[wanted]}.",
            field="state",
        )
    if wanted != "withdrawn":
        return
    is_own = (
        attribute.state in ("confirmed", "unsure")
        and _adder(attribute.events, hidden=hidden) == by.id
    )
    if not is_own or (_was_proposed(attribute) and not hidden):
        raise NotAllowed(
            f"Only your own addition can be withdrawn, and “{attribute.name}” is none.",
            hint="Reject it instead.",
        )


def _adder(events: Sequence[Happening], *, hidden: bool) -> int | None:
    """Who made a label of what was none; unseen proposals are none where they are hidden."""
    nothing = (None, "proposed") if hidden else (None,)
    effective = not_undone(events)
    return next(
        (
            each.person_id
            for each in reversed(effective)
            if each.person_id and each.before in nothing
        ),
        None,
    )

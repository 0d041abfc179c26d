"""Corrects what is known of an image: its prompt and its metadata. Every correction is recorded."""

import math
import unicodedata
from typing import Any

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.errors import Invalid, Stale
from app.images.changes import record
from app.images.finding import get_image
from app.images.listings import MAX_CELL, MAX_COLUMNS, MAX_KEY
from app.images.models import Image
from app.images.searching import OWN_NOTES, search_words
from app.projects.models import Project
from method.saved_texts import one_line

PROMPT = "prompt"
# What people ask for first, in this order; any other key follows.
USUAL = ("title", "painter", "artist", "year", "style")


def metadata_of(image: Image) -> Json:
    """An image's metadata as people know it, the usual keys first, without our notes on the file."""
    usual = [key for key in USUAL if key in image.details]
    others = [key for key in image.details if key not in (*usual, *OWN_NOTES)]
    return {key: image.details[key] for key in (*usual, *others)}


def described(image: Image) -> Json:
    """What can be corrected of an image: its prompt and its metadata."""
    return {PROMPT: image.prompt, **metadata_of(image)}


def as_text(value: Any) -> str:
    """A piece of metadata as it stands in a field or on a page."""
    if isinstance(value, list):
        return ", ".join(as_text(each) for each in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {as_text(each)}" for key, each in value.items())
    return "" if value is None else str(value)


def correct_image(
    db: Session,
    project: Project,
    image_id: int,
    *,
    based_on: int,
    by: Person | None,
    prompt: str | None = None,
    details: dict[str, Any] | None = None,
) -> Image:
    """Set the prompt (None: as it is) and metadata by key (None as a value: remove it), all or none.

    `based_on` is the image's revision that the correction was made from. Raises Stale, with both
    values, where someone changed one of the same things since to something else; Invalid for a text or
    key that cannot be kept. What changes nothing is not recorded.
    """
    image = get_image(db, project, image_id, lock=True)
    wanted = _checked(prompt, details or {})
    if not 0 < based_on <= image.revision:
        raise Invalid(
            f"The image is at revision {image.revision}; nothing can be based on {based_on}.",
            field="based_on",
            hint="Load the image again.",
        )
    current = described(image)
    changed = {key: value for key, value in wanted.items() if current.get(key) != value}
    if changed and based_on != image.revision:
        raise Stale(
            "Someone changed this image while you were at it; nothing of yours was saved.",
            hint="Look at what stands now, then save again.",
            theirs={key: current.get(key) for key in changed},
            yours=changed,
            revision=image.revision,
        )
    apply_correction(db, image, changed, kind="edit", by=by)
    return image


def apply_correction(
    db: Session,
    image: Image,
    changed: Json,
    *,
    kind: str,
    by: Person | None,
    import_id: int | None = None,
) -> None:
    """Write what changes of a locked image, and record it. An empty change writes nothing."""
    if not changed:
        return
    current = described(image)
    before = {key: current.get(key) for key in changed}
    image.prompt = changed.get(PROMPT, image.prompt)
    details = {**image.details, **{k: v for k, v in changed.items() if k != PROMPT}}
    image.details = {key: value for key, value in details.items() if value is not None}
    image.search = search_words(image.name, image.prompt, image.details)
    record(db, image, kind, before=before, after=changed, by=by, import_id=import_id)


def _checked(prompt: str | None, details: dict[str, Any]) -> Json:
    wanted: Json = {} if prompt is None else {PROMPT: _text("prompt", prompt)}
    if len(details) > MAX_COLUMNS:
        raise Invalid(f"An image has at most {MAX_COLUMNS} pieces of metadata.", field="details")
    for key, value in details.items():
        name = _text("details", key).lower()
        if not name or len(name) > MAX_KEY:
            raise Invalid(
                f"The name of a piece of metadata has 1 to {MAX_KEY} characters.", field="details"
            )
        if name in (PROMPT, *OWN_NOTES):
            raise Invalid(f"Metadata cannot be called “{name}”.", field="details")
        if name in wanted:
            raise Invalid(f"“{name}” is given twice.", field="details")
        wanted[name] = _value(name, value)
    return wanted


def _value(name: str, value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str):
        return _text(name, value)
    # Some programs write NaN and Infinity into JSON, which no reader of JSON takes.
    if isinstance(value, bool | int | float) and math.isfinite(value):
        return value
    raise Invalid(f"“{name}” has to be a text or a number.", field="details")


def _text(name: str, value: str) -> str:
    # Joiners are no signs to print either, and words of several scripts are written with them.
    kept = (c if c.isprintable() or unicodedata.category(c) == "Cf" else " " for c in value)
    text = one_line("".join(kept))
    if len(text) > MAX_CELL:
        raise Invalid(f"“{name}” has more than {MAX_CELL} characters.", field=name)
    return text

"""What a list says of pictures that are there: what of it changes something, and what people wrote
themselves since, which no import overwrites.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.images.correcting import PROMPT, as_text
from app.images.listings import compose_prompt
from app.images.models import ImageEvent
from app.images.searching import OWN_NOTES

MAX_SHOWN = 60


def changes_from(image_prompt: str, image_details: Json, prompt: str, details: Json) -> Json:
    """What a list's prompt and metadata would change of an image, by name.

    What the list leaves empty stays. A prompt that was only made of title and style never takes the
    place of one that somebody wrote; where the image's own was made so too, it is made anew.
    """
    said = {key: value for key, value in details.items() if key not in OWN_NOTES}
    changed = {
        key: value
        for key, value in said.items()
        if as_text(value) != "" and as_text(image_details.get(key)) != as_text(value)
    }
    if not prompt or prompt == image_prompt:
        return changed
    if prompt == compose_prompt(_texts(said)):
        if image_prompt not in ("", compose_prompt(_texts(image_details))):
            return changed
        prompt = compose_prompt(_texts({**image_details, **said}))
    if prompt != image_prompt:
        changed[PROMPT] = prompt
    return changed


def _texts(details: Json) -> dict[str, str]:
    return {key: as_text(value) for key, value in details.items() if value is not None}


def written_by_people(db: Session, image_ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """What people wrote on these images by hand and nobody took from a list since: who, by image and
    name.
    """
    found: dict[int, dict[str, str]] = {}
    rows = db.execute(
        select(ImageEvent.image_id, ImageEvent.kind, ImageEvent.after, Person.name)
        .outerjoin(Person, Person.id == ImageEvent.person_id)
        .where(ImageEvent.image_id.in_(image_ids), ImageEvent.kind.in_(("edit", "list")))
        .order_by(ImageEvent.id)
    )
    for image_id, kind, after, who in rows:
        held = found.setdefault(image_id, {})
        for name in after or {}:
            if kind == "edit":
                held[name] = who or "somebody"
            else:
                held.pop(name, None)
    return found


def in_words(before: Json, changed: Json) -> str:
    """What changes, in one line: prompt “olive tress” → “olive trees”; painter “N. N.”."""
    parts = []
    for name, value in sorted(changed.items(), key=lambda each: each[0] != PROMPT):
        old = as_text(before.get(name))
        now = f"“{_short(as_text(value))}”" if value is not None else "taken away"
        parts.append(f"{name} “{_short(old)}” → {now}" if old else f"{name} {now}")
    return "; ".join(parts)


def _short(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else f"{text[: MAX_SHOWN - 1]}…"

"""What happened to images: who changed what, when, before and after."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import null, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.images.models import Image, ImageEvent
from app.projects.models import Project

KINDS = {
    "edit": "changed",
    "list": "changed from a list",
    "import": "changed by an import",
    "aside": "set aside",
    "back": "taken back in",
    "replace": "replaced the file",
    "erase": "erased",
}


@dataclass(frozen=True, slots=True)
class Change:
    """One recorded change. `fields` has what was before and after, by name; none is left of an erased
    image.
    """

    id: int
    image_id: int
    image: str
    kind: str
    did: str
    fields: tuple[tuple[str, Any, Any], ...]
    revision: int
    who: str | None
    import_id: int | None
    at: datetime


def record(
    db: Session,
    image: Image,
    kind: str,
    *,
    before: Json | None,
    after: Json | None,
    by: Person | None,
    import_id: int | None = None,
) -> ImageEvent:
    """Note a change in the transaction that makes it; the image's revision rises by one."""
    image.revision += 1
    event = ImageEvent(
        project_id=image.project_id,
        image_id=image.id,
        kind=kind,
        # None would be kept as a JSON null, which is a value.
        before=null() if before is None else before,
        after=null() if after is None else after,
        revision=image.revision,
        import_id=import_id,
        person_id=by.id if by else None,
    )
    # Written with the image at the end of the transaction, or before the next question: many at once.
    db.add(event)
    return event


def find_image_changes(
    db: Session,
    project: Project,
    *,
    image: Image | None = None,
    before: int | None = None,
    limit: int = 50,
) -> tuple[Sequence[Change], int | None]:
    """Changes to the images of a project, or to one of them, newest first; and the next page's `before`."""
    query = (
        select(ImageEvent, Image.name, Person.name)
        .join(Image, Image.id == ImageEvent.image_id)
        .outerjoin(Person, Person.id == ImageEvent.person_id)
        .where(ImageEvent.project_id == project.id)
        .order_by(ImageEvent.id.desc())
        .limit(limit + 1)
    )
    if image is not None:
        query = query.where(ImageEvent.image_id == image.id)
    if before is not None:
        query = query.where(ImageEvent.id < before)
    rows = db.execute(query).all()
    found = [_change(*row) for row in rows[:limit]]
    return found, found[-1].id if len(rows) > limit else None


def _change(event: ImageEvent, image: str, who: str | None) -> Change:
    before, after = event.before or {}, event.after or {}
    return Change(
        id=event.id,
        image_id=event.image_id,
        image=image,
        kind=event.kind,
        did=KINDS[event.kind],
        fields=tuple(
            (name, before.get(name), after.get(name))
            for name in {**before, **after}
            # A replaced file is recorded whole, also what both files have in common.
            if before.get(name) != after.get(name)
        ),
        revision=event.revision,
        who=who,
        import_id=event.import_id,
        at=event.at,
    )

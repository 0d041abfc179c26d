"""Who has seen the suggestions on which image: what an agent or a publication of the criteria proposes.

People follow suggestions, so the agent is only ever judged by what people decided without seeing them.
Whether they saw them is known by who served them: it is noted here, once and for good, whenever
suggestions of an image leave the server for a person, and not left to what their browser says.
"""

from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.images.models import Image
from app.labels.models import SuggestionShown

# An image on which nothing was proposed has nothing to show, and stays blind for what comes later.
_NOTE = text(
    """
    INSERT INTO suggestion_shown (image_id, person_id)
    SELECT image, :person FROM unnest(CAST(:images AS bigint[])) AS image WHERE EXISTS (
        SELECT FROM label WHERE image_id = image AND (source <> 'person' OR state = 'proposed')
    ) AND NOT EXISTS (
        SELECT FROM suggestion_shown WHERE image_id = image AND person_id = :person
    )
    ORDER BY image
    ON CONFLICT (image_id, person_id) DO NOTHING
    """
)


def note_shown(db: Session, image: Image, person: Person) -> None:
    """Note that this person is shown what is proposed for this image."""
    db.execute(_NOTE, {"images": [image.id], "person": person.id})


def note_several_shown(db: Session, image_ids: Sequence[int], person: Person) -> None:
    """Note that this person is shown what is proposed for these images."""
    db.execute(_NOTE, {"images": sorted(set(image_ids)), "person": person.id})


def note_foretold(db: Session, image: Image, person: Person) -> None:
    """Note that this person is told what an agent would propose for this image, whether or not it was asked yet."""
    new = insert(SuggestionShown).values(image_id=image.id, person_id=person.id)
    db.execute(new.on_conflict_do_nothing())


def was_shown(db: Session, image: Image, person: Person) -> bool:
    """Whether this person has ever been shown what is proposed for this image."""
    seen = select(SuggestionShown.id).where(
        SuggestionShown.image_id == image.id, SuggestionShown.person_id == person.id
    )
    return db.scalar(seen) is not None

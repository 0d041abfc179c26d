"""Who has seen the suggestions on which image: what an agent or a publication of the criteria proposes.

People follow suggestions, so the agent is only ever judged by what people decided without seeing them.
Whether they saw them is known by who served them: it is noted here, once and for good, whenever
suggestions of an image leave the server for a person, and not left to what their browser says.
"""

from collections.abc import Collection

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
    SELECT :image, :person WHERE EXISTS (
        SELECT FROM label WHERE image_id = :image AND (source <> 'person' OR state = 'proposed')
    ) AND NOT EXISTS (
        SELECT FROM suggestion_shown WHERE image_id = :image AND person_id = :person
    )
    ON CONFLICT (image_id, person_id) DO NOTHING
    """
)


def note_shown(db: Session, image: Image, person: Person) -> None:
    """Note that this person is shown what is proposed for this image."""
    db.execute(_NOTE, {"image": image.id, "person": person.id})


def note_told(db: Session, image_ids: Collection[int], person: Person) -> None:
    """Note that this person is told what an agent says of these images, whether or not it proposed that to anyone."""
    rows = [{"image_id": each, "person_id": person.id} for each in sorted(set(image_ids))]
    if rows:
        db.execute(insert(SuggestionShown).on_conflict_do_nothing(), rows)


def was_shown(db: Session, image: Image, person: Person) -> bool:
    """Whether this person has ever been shown what is proposed for this image."""
    seen = select(SuggestionShown.id).where(
        SuggestionShown.image_id == image.id, SuggestionShown.person_id == person.id
    )
    return db.scalar(seen) is not None

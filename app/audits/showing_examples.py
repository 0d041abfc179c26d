"""The images that show what an attribute means, beside the question about it. None of the sample is among them: it
would tell what people of the project see there.
"""

from collections.abc import Iterable

from sqlalchemy import CompoundSelect, select, union
from sqlalchemy.orm import Session

from app.audits.judging import Item
from app.audits.models import Audit, AuditItem, PracticeItem
from app.errors import NotFound
from app.examples.models import AttributeExample
from app.examples.reading import ShownExample, find_examples
from app.images.inclusion import in_use
from app.images.models import Image
from app.projects.models import Project

Side = tuple[str, str]
MOST = 3


def find_examples_for(
    db: Session, audit: Audit, items: Iterable[Item]
) -> dict[Side, list[ShownExample]]:
    """A few examples of each attribute that is asked for, by key and polarity; two queries."""
    sides = {(each.key, each.polarity) for each in items if each.key and each.polarity}
    project = db.get_one(Project, audit.project_id)
    found = find_examples(db, project, {key for key, _ in sides})
    asked = set(db.scalars(_shown_otherwise(audit)))
    return {
        (key, polarity): [each for each in examples if each.image.id not in asked][:MOST]
        for (key, polarity), examples in found.items()
        if (key, polarity) in sides
    }


def get_example_hash(db: Session, audit: Audit, image_id: int) -> str:
    """SHA-256 of an image that is an example of some attribute of the project. Raises NotFound for every other image."""
    found = db.scalar(
        select(Image.sha256).where(
            Image.id == image_id,
            Image.project_id == audit.project_id,
            Image.id.in_(
                select(AttributeExample.image_id).where(
                    AttributeExample.project_id == audit.project_id
                )
            ),
            Image.id.not_in(_shown_otherwise(audit)),
            in_use(),
        )
    )
    if found is None:
        raise NotFound(f"No attribute has an example {image_id}.")
    return found


def _shown_otherwise(audit: Audit) -> CompoundSelect[int]:
    return union(
        *(
            select(table.image_id).where(table.audit_id == audit.id)
            for table in (AuditItem, PracticeItem)
        )
    )

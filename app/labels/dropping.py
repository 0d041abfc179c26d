"""Takes the labels of an image away when the image itself is erased."""

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from app.images.models import Image
from app.labels.models import Label, LabelEvent


def drop_labels(db: Session, image: Image) -> int:
    """Remove the labels of an erased image, and how they once stood; returns how many. Their events stay:
    they say who judged which attribute when, and nothing of the picture.
    """
    carried = (LabelEvent.image_id == image.id, LabelEvent.stood.is_not(None))
    db.execute(update(LabelEvent).where(*carried).values(stood=None))
    gone = db.scalars(delete(Label).where(Label.image_id == image.id).returning(Label.id)).all()
    return len(gone)

"""Takes the labels of an image away when the image itself is erased."""

from sqlalchemy import delete
from sqlalchemy.orm import Session

from app.images.models import Image
from app.labels.models import Label, LabelBefore


def drop_labels(db: Session, image: Image) -> int:
    """Remove the labels of an erased image, and how they once stood; returns how many. Their events stay:
    they say who judged which attribute when, and nothing of the picture.
    """
    db.execute(delete(LabelBefore).where(LabelBefore.image_id == image.id))
    gone = db.scalars(delete(Label).where(Label.image_id == image.id).returning(Label.id)).all()
    return len(gone)

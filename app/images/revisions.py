"""The label revision of an image: what other rooms have written with their own statements."""

from sqlalchemy import BindParameter, Update, update

from app.images.models import Image


def set_label_revision(image_id: BindParameter[int], revision: BindParameter[int]) -> Update:
    """The statement that gives a locked image its next label revision."""
    return update(Image).where(Image.id == image_id).values(label_revision=revision)

"""Which images count: all but those that were set aside or erased. Every room asks here."""

from sqlalchemy import ColumnElement, Select, literal_column, select
from sqlalchemy.orm import Session

from app.images.models import Image
from app.studies.models import StudyImage

# Written out, not as parameters: a prepared statement that does not know the value cannot use the
# indexes that hold these states alone, and finds no constraint for ON CONFLICT.
_USED: ColumnElement[str] = literal_column("'used'")
_ERASED: ColumnElement[str] = literal_column("'erased'")


def in_use() -> ColumnElement[bool]:
    """Whether an image of the statement is neither set aside nor erased."""
    return Image.state == _USED


def is_there() -> ColumnElement[bool]:
    """Whether an image of the statement still has content: in use or set aside."""
    return Image.state != _ERASED


def left_out(project_id: int | None = None) -> Select[int]:
    """The ids of the images (of a project, or of all) that are set aside or erased, for statements that
    know an image by its id alone. They are few, and have an index of their own.
    """
    left = select(Image.id).where(Image.state != _USED)
    return left if project_id is None else left.where(Image.project_id == project_id)


def erased() -> Select[int]:
    """The ids of all images that were erased."""
    return select(Image.id).where(Image.state == _ERASED, Image.state != _USED)


def is_held(db: Session, sha256: str) -> bool:
    """Whether the storage still has to keep a file: an image that is there has it, or a study compares it."""
    image = db.scalar(select(Image.id).where(Image.sha256 == sha256, is_there()).limit(1))
    compared = select(StudyImage.id).where(StudyImage.sha256 == sha256).limit(1)
    return image is not None or db.scalar(compared) is not None

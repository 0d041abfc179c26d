"""Looking at images that came in before their looks were kept (`app.images.looks`)."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.errors import Invalid, NotFound
from app.images import storage
from app.images.decoding import ImageRefused, decode
from app.images.inclusion import is_there
from app.images.looks import looks_of, pixels_of
from app.images.models import Image
from app.projects.models import Project


def find_unseen(db: Session, project: Project, *, limit: int = 20) -> Sequence[tuple[int, str]]:
    """Ids and hashes of images that nobody has looked at yet."""
    rows = db.execute(
        select(Image.id, Image.sha256)
        .where(Image.project_id == project.id, is_there(), Image.pixels.is_(None))
        .order_by(Image.id)
        .limit(limit)
    )
    return [(row.id, row.sha256) for row in rows]


def look_at(sha256: str) -> tuple[str, bytes]:
    """The hash of an image's pixels and its looks; both empty where it is lost, damaged or cannot be
    decoded any more.

    Raises Unavailable where the storage does not answer.
    """
    try:
        image = decode(storage.get_original(sha256)).image
    except (ImageRefused, NotFound, Invalid):
        return "", b""
    return pixels_of(image), looks_of(image)


def record_looks(db: Session, image_id: int, pixels: str, looks: bytes) -> None:
    """Keep what was seen."""
    db.execute(update(Image).where(Image.id == image_id).values(pixels=pixels, looks=looks))

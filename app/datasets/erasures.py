"""Frozen datasets that hold an image which was erased since: which they are, and how they are marked.

A dataset never changes, and may have been copied anywhere; the mark says what it holds.
"""

import mmap
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.datasets.freezing import folder_of
from app.datasets.models import Dataset, DatasetErasure
from app.images.inclusion import erased
from app.images.models import Image
from app.projects.models import Project

LINES = "*/examples.jsonl"


def find_holding(db: Session, project: Project, image: Image) -> Sequence[Dataset]:
    """The ready datasets of a project whose lines name the file of an image, oldest first."""
    ready = db.scalars(
        select(Dataset)
        .where(Dataset.project_id == project.id, Dataset.manifest_sha256.is_not(None))
        .order_by(Dataset.id)
    )
    return [each for each in ready if _names(folder_of(each), image.sha256)]


def _names(folder: Path, sha256: str) -> bool:
    return any(_holds(path, sha256.encode()) for path in folder.glob(LINES))


def _holds(path: Path, text: bytes) -> bool:
    # Mapped, not read: lines of a large dataset are hundreds of megabytes.
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
            return lines.find(text) >= 0
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def mark(db: Session, datasets: Sequence[Dataset], image: Image) -> None:
    """Note that these datasets hold an image that is erased now."""
    if datasets:
        rows = [{"dataset_id": each.id, "image_id": image.id} for each in datasets]
        db.execute(insert(DatasetErasure).values(rows).on_conflict_do_nothing())


def mark_if_erased(db: Session, dataset_id: int, images: Sequence[int]) -> None:
    """Note those of a dataset's images that were erased before it was ready."""
    gone = db.scalars(erased().where(Image.id == func.any(list(images)))).all()
    if gone:
        rows = [{"dataset_id": dataset_id, "image_id": each} for each in gone]
        db.execute(insert(DatasetErasure).values(rows).on_conflict_do_nothing())


def find_erased(db: Session, datasets: Sequence[Dataset]) -> dict[int, list[int]]:
    """The ids of erased images by the id of the dataset that holds them."""
    found: dict[int, list[int]] = {}
    rows = db.execute(
        select(DatasetErasure.dataset_id, DatasetErasure.image_id)
        .where(DatasetErasure.dataset_id.in_([each.id for each in datasets]))
        .order_by(DatasetErasure.image_id)
    )
    for dataset_id, image_id in rows:
        found.setdefault(dataset_id, []).append(image_id)
    return found

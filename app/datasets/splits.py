"""Which split of a dataset each of its images is in: kept as it is frozen, and read from the folders of datasets
that were frozen before this was kept.
"""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sqlalchemy import delete, select, text
from sqlalchemy.orm import Session

from app.database import unit_of_work
from app.datasets.freezing import folder_of
from app.datasets.models import Dataset, DatasetImage
from method.dataset_folder import EXAMPLES
from method.manifests import MANIFEST, SPLITS

BATCH = 10_000
MOST_AT_ONCE = 50_000
"""Images of a dataset whose splits are kept in the transaction that closes it; those of larger ones a worker reads after."""

_KEEP = text(
    """
    INSERT INTO dataset_image (dataset_id, image_id, split)
    SELECT :dataset, i.id, :split FROM unnest(CAST(:images AS bigint[])) AS each(id) JOIN image AS i USING (id)
    WHERE i.project_id = :project ORDER BY i.id ON CONFLICT DO NOTHING
    """
)


def keep_splits(db: Session, dataset: Dataset, folder: Path) -> None:
    """Keep which split each image of a dataset is in, as the lines in its folder say, in the place of what was kept."""
    db.execute(delete(DatasetImage).where(DatasetImage.dataset_id == dataset.id))
    about = {"dataset": dataset.id, "project": dataset.project_id}
    for split in SPLITS:
        images = _images_in(folder / split / EXAMPLES)
        while batch := list(islice(images, BATCH)):
            db.execute(_KEEP, {**about, "split": split, "images": batch})
    dataset.images_are = "kept"
    db.flush()


def _images_in(path: Path) -> Iterator[int]:
    """The images that lines name, as far as they can be read: a damaged line of a folder names none."""
    if not path.is_file():
        return
    with path.open("rb") as lines:
        for line in lines:
            try:
                yield int(json.loads(line)["image_id"])
            except (ValueError, KeyError, TypeError):
                continue


def sweep_unread() -> int:
    """Read the oldest ready dataset whose splits are not known yet; returns how many were read. One whose folder is gone
    is noted as such. Several workers read different ones.
    """
    with unit_of_work() as db:
        dataset = db.scalars(
            select(Dataset)
            .where(Dataset.images_are == "unread", Dataset.manifest_sha256.is_not(None))
            .order_by(Dataset.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        ).first()
        if dataset is None:
            return 0
        folder = folder_of(dataset)
        if (folder / MANIFEST).is_file():
            keep_splits(db, dataset, folder)
        else:
            dataset.images_are = "gone"
        return 1

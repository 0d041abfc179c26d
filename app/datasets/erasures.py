"""Frozen datasets and pair datasets that hold an image which was erased since: which they are, and how
they are marked and told of.

What is frozen never changes, and may have been copied anywhere; the mark says what it holds.
"""

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.datasets import freezing, pairing
from app.datasets.models import Dataset, DatasetErasure, PairDataset, PairDatasetErasure
from app.images.inclusion import erased
from app.images.models import Image
from app.projects.models import Project
from method.dataset_folder import EXAMPLES
from method.pair_folder import PAIRS

Frozen: TypeAlias = Dataset | PairDataset

NAMED = 20


def find_holding(db: Session, project: Project, image: Image) -> list[Frozen]:
    """The ready datasets of a project that hold an image, and then the pair datasets, oldest first."""
    datasets = db.scalars(
        select(Dataset)
        .where(Dataset.project_id == project.id, Dataset.manifest_sha256.is_not(None))
        .order_by(Dataset.id)
    )
    pairs = db.scalars(
        select(PairDataset)
        .where(PairDataset.project_id == project.id, PairDataset.manifest_sha256.is_not(None))
        .order_by(PairDataset.id)
    )
    return [each for each in [*datasets, *pairs] if _holds(each, image)]


def _holds(frozen: Frozen, image: Image) -> bool:
    """Whether the lines of a dataset or pair dataset name an image."""
    if isinstance(frozen, Dataset):
        return _say(freezing.folder_of(frozen), f"*/{EXAMPLES}", [image.sha256])
    words = [image.sha256]
    if frozen.source == "labels":
        # Pairs by labels name images by id; their files may have been written anew.
        words += [f'"{side}_id": "{image.id}"' for side in ("winner", "loser")]
    return _say(pairing.folder_of(frozen), f"*/{PAIRS}", words)


def _say(folder: Path, lines: str, words: Sequence[str]) -> bool:
    return any(_contains(path, [each.encode() for each in words]) for path in folder.glob(lines))


def _contains(path: Path, words: Sequence[bytes]) -> bool:
    # Mapped, not read: lines of a large dataset are hundreds of megabytes.
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as lines:
            return any(lines.find(each) >= 0 for each in words)
    except (OSError, ValueError):  # an empty file cannot be mapped
        return False


def mark(db: Session, frozen: Sequence[Frozen], image: Image) -> None:
    """Note that these hold an image that is erased now."""
    _mark_datasets(db, [(each.id, image.id) for each in frozen if isinstance(each, Dataset)])
    _mark_pairs(db, [(each.id, image.id) for each in frozen if isinstance(each, PairDataset)])


def mark_if_erased(db: Session, dataset_id: int, images: Sequence[int]) -> None:
    """Note those of a dataset's images that were erased before it was ready."""
    gone = db.scalars(erased().where(Image.id == func.any(list(images)))).all()
    _mark_datasets(db, [(dataset_id, each) for each in gone])


def mark_pairs_if_erased(db: Session, pairs: PairDataset) -> None:
    """Note the images of a pair dataset that is ready now and that were erased before: those that stood
    in the dataset it was made from, or went while it was made.
    """
    gone = db.scalars(
        select(Image).where(Image.project_id == pairs.project_id, Image.id.in_(erased()))
    ).all()
    _mark_pairs(db, [(pairs.id, each.id) for each in gone if _holds(pairs, each)])


def _mark_datasets(db: Session, marks: Sequence[tuple[int, int]]) -> None:
    if marks:
        rows = [{"dataset_id": each, "image_id": image} for each, image in marks]
        db.execute(insert(DatasetErasure).values(rows).on_conflict_do_nothing())


def _mark_pairs(db: Session, marks: Sequence[tuple[int, int]]) -> None:
    if marks:
        rows = [{"pair_dataset_id": each, "image_id": image} for each, image in marks]
        db.execute(insert(PairDatasetErasure).values(rows).on_conflict_do_nothing())


# Telling ------------------------------------------------------------------------------------------


def find_erased(db: Session, frozen: Sequence[Frozen]) -> dict[Frozen, list[int]]:
    """The ids of erased images that datasets or pair datasets hold; those that hold none are left out."""
    datasets = {each.id: each for each in frozen if isinstance(each, Dataset)}
    pairs = {each.id: each for each in frozen if isinstance(each, PairDataset)}
    found: dict[Frozen, list[int]] = {}
    if datasets:
        of_datasets = select(DatasetErasure.dataset_id, DatasetErasure.image_id)
        of_datasets = of_datasets.where(DatasetErasure.dataset_id.in_(datasets))
        for dataset_id, image_id in db.execute(of_datasets.order_by(DatasetErasure.image_id)):
            found.setdefault(datasets[dataset_id], []).append(image_id)
    if pairs:
        of_pairs = select(PairDatasetErasure.pair_dataset_id, PairDatasetErasure.image_id)
        of_pairs = of_pairs.where(PairDatasetErasure.pair_dataset_id.in_(pairs))
        for pairs_id, image_id in db.execute(of_pairs.order_by(PairDatasetErasure.image_id)):
            found.setdefault(pairs[pairs_id], []).append(image_id)
    return found


def erased_in(db: Session, frozen: Frozen) -> list[int]:
    """The ids of erased images that one dataset or pair dataset holds."""
    return find_erased(db, [frozen]).get(frozen, [])


def doubt(db: Session, frozen: Frozen) -> str | None:
    """What is to be thought of before something learns from it, in a sentence; None where nothing is."""
    gone = erased_in(db, frozen)
    if not gone:
        return None
    kind = "dataset" if isinstance(frozen, Dataset) else "pair dataset"
    named = ", ".join(f"image {each}" for each in gone[:NAMED])
    more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
    was = "1 image that was" if len(gone) == 1 else f"{len(gone)} images that were"
    return (
        f"This {kind} holds {was} erased from the project since: {named}{more}. The run would learn from "
        f"{'it' if len(gone) == 1 else 'them'}; make another {kind} to leave {'it' if len(gone) == 1 else 'them'} out."
    )

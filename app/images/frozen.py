"""Narrowing images down by the datasets that hold them: one dataset or any, one split of it, or none at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Select, any_, func, literal, select
from sqlalchemy.orm import Session

from app.database import LARGEST_KEY
from app.datasets.models import Dataset, DatasetImage, UnfrozenImage
from app.errors import Invalid, NotFound
from app.images.counting import count_kinds
from app.projects.models import Project
from method.manifests import SPLITS
from method.whole_numbers import read_whole

Which: TypeAlias = int | Literal["any", "none"]
NO_SPLIT = ""
MOST_DATASETS = 100


@dataclass(frozen=True, slots=True)
class Frozen:
    """In which dataset (by number; `any` of them; `none`) images are to be, and in which split of it."""

    dataset: Which
    split: str = NO_SPLIT

    @property
    def parts(self) -> list[tuple[str, str]]:
        """The same as parts of an address."""
        parts = [("dataset", str(self.dataset)), ("split", self.split)]
        return [(name, value) for name, value in parts if value]


@dataclass(frozen=True, slots=True)
class Held:
    """The ids of the datasets that are asked for, none where no dataset is to hold an image; the split; and about how
    many images that finds.
    """

    dataset_ids: tuple[int, ...] | None
    split: str
    number: int


def read_frozen(dataset: str, split: str) -> Frozen | None:
    """What an address or a form asks. Raises Invalid with the field."""
    if split and split not in SPLITS:
        raise Invalid(f"A split is {', '.join(SPLITS)}.", field="split")
    if dataset == "none":
        if split:
            raise Invalid("Images in no dataset are in no split.", field="split")
        return Frozen("none")
    if dataset in ("", "any"):
        return Frozen("any", split) if dataset or split else None
    number = read_whole(dataset, LARGEST_KEY)
    if number is None:
        raise Invalid("A dataset is the number of one, any or none.", field="dataset")
    return Frozen(number, split)


def find_held(db: Session, project: Project, frozen: Frozen) -> Held:
    """The datasets that are asked for. Raises NotFound for one that is not there, Invalid for one whose images are not
    known.
    """
    if frozen.dataset == "none":
        return Held(None, "", count_kinds(db, project).used)
    ready = _ready(project)
    if frozen.dataset == "any":
        datasets = db.scalars(ready).all()
    else:
        datasets = db.scalars(ready.where(Dataset.number == frozen.dataset)).all()
        _refuse_unknown(frozen.dataset, datasets)
    number = sum(int(each.counts.get(frozen.split or "images", 0)) for each in datasets)
    return Held(tuple(each.id for each in datasets), frozen.split, number)


def _ready(project: Project) -> Select[Dataset]:
    """The newest datasets of a project that are frozen whole."""
    of_project = select(Dataset).where(Dataset.project_id == project.id)
    ready = of_project.where(Dataset.manifest_sha256.is_not(None))
    return ready.order_by(Dataset.id.desc()).limit(MOST_DATASETS)


def _refuse_unknown(number: int, datasets: Sequence[Dataset]) -> None:
    if not datasets:
        raise NotFound(f"There is no dataset number {number} in this project that is ready.")
    if datasets[0].images_are == "gone":
        raise Invalid(
            f"The folder of dataset {number} is gone, so which images it held is not known.",
            field="dataset",
            hint="Freeze another one.",
        )
    if datasets[0].images_are == "unread":
        raise Invalid(
            f"Which images dataset {number} holds is being read by a worker.",
            field="dataset",
            hint="Ask again in a minute.",
        )


def are_held(
    project: Project, held: Held, stretch: Callable[[Any], list[ColumnElement[bool]]]
) -> Select[int]:
    """The images of a stretch that are held as asked."""
    if held.dataset_ids is None:
        loose = select(UnfrozenImage.image_id).where(UnfrozenImage.project_id == project.id)
        return loose.where(*stretch(UnfrozenImage.image_id))
    of = select(DatasetImage.image_id).where(
        DatasetImage.dataset_id == any_(literal(list(held.dataset_ids), ARRAY(BigInteger))),
        DatasetImage.split.in_([held.split] if held.split else SPLITS),
    )
    return of.where(*stretch(DatasetImage.image_id))


def first_held(project: Project, held: Held, after: int) -> Select[int]:
    """The first image behind `after` that is held as asked."""
    if held.dataset_ids is None:
        behind = (UnfrozenImage.project_id == project.id, UnfrozenImage.image_id > after)
        return select(func.min(UnfrozenImage.image_id)).where(*behind)
    # Each dataset by itself, and each split: the index has their images in order.
    each = func.unnest(literal(list(held.dataset_ids), ARRAY(BigInteger))).table_valued("id")
    of = each.render_derived(name="asked")
    firsts = [
        select(func.min(DatasetImage.image_id))
        .where(
            DatasetImage.dataset_id == of.c.id,
            DatasetImage.split == split,
            DatasetImage.image_id > after,
        )
        .scalar_subquery()
        for split in ([held.split] if held.split else SPLITS)
    ]
    least = func.least(*firsts) if len(firsts) > 1 else firsts[0]
    return select(func.min(least)).select_from(of)


@dataclass(frozen=True, slots=True)
class Offered:
    """A ready dataset that the wall offers; without `is_known` which images it holds is not known (any more)."""

    number: int
    name: str
    images: int
    splits: dict[str, int]
    is_known: bool


def find_offered(db: Session, project: Project) -> tuple[Offered, ...]:
    """The newest ready datasets of a project."""
    return tuple(
        Offered(
            each.number,
            each.name,
            int(each.counts.get("images", 0)),
            {split: int(each.counts.get(split, 0)) for split in SPLITS},
            each.images_are == "kept",
        )
        for each in db.scalars(_ready(project))
    )

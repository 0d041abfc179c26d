"""Freezing confirmed labels into a dataset: asking for it, reading the snapshot, closing it."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import CriteriaVersion
from app.criteria.reading import current_version
from app.database import Json
from app.datasets.models import Dataset
from app.errors import Conflict, Invalid, NotFound
from app.images.models import Image
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.labels.models import Label
from app.labels.reading import find_effective_labels
from app.projects.models import Project
from app.settings import settings
from taxonomy.tree import Criteria

FRACTIONS = {"train": 0.8, "validation": 0.1, "test": 0.1}
DEFAULT_SALT = "morelli"
BATCH = 500


@dataclass(frozen=True)
class Example:
    """One image of the snapshot with its effective labels, as keys in tree order."""

    image: Image
    positive: tuple[str, ...]
    negative: tuple[str, ...]


def split_of(salt: str, image_sha256: str) -> str:
    """The split an image belongs to: by the hash of salt and image alone, so that adding images
    moves none of the others, and the same image never changes sides between datasets.
    """
    digest = hashlib.sha256(f"{salt}:{image_sha256}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    for name, fraction in FRACTIONS.items():
        if place < fraction:
            return name
        place -= fraction
    return "test"


def freeze_dataset(
    db: Session,
    project: Project,
    *,
    name: str,
    by: Person | None,
    salt: str = DEFAULT_SALT,
    only_done: bool = False,
) -> Dataset:
    """Ask for a dataset of the confirmed labels as they are when the job begins.

    Raises Invalid where nothing is published or no label is confirmed.
    """
    name = checked_name(name)
    if not 1 <= len(salt) <= 80 or not salt.isprintable():
        raise Invalid("The salt has 1 to 80 printable characters.", field="salt")
    version = current_version(db, project)
    if version is None:
        raise Invalid(
            "The criteria have not been published yet.",
            field="criteria",
            hint="Publish a version first.",
        )
    confirmed = select(Label.id).where(Label.project_id == project.id, Label.state == "confirmed")
    if db.scalar(confirmed.limit(1)) is None:
        raise Invalid(
            "No label is confirmed yet.",
            field="labels",
            hint="A dataset freezes confirmed labels: correct some first.",
        )
    # Numbers are counted under a lock on the project, so that two leads get different ones.
    db.execute(select(Project.id).where(Project.id == project.id).with_for_update())
    last = db.scalar(select(func.max(Dataset.number)).where(Dataset.project_id == project.id))
    dataset = Dataset(
        project_id=project.id,
        number=(last or 0) + 1,
        name=name,
        version_id=version.id,
        options={"salt": salt, "fractions": FRACTIONS, "only_done": only_done},
        created_by=by.id if by else None,
    )
    db.add(dataset)
    db.flush()
    job = submit(db, project=project, kind="dataset", spec={"dataset_id": dataset.id}, by=by)
    dataset.job_id = job.id
    db.flush()
    return dataset


def checked_name(name: str) -> str:
    """A dataset's name without needless blanks. Raises Invalid."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= 120 or not name.isprintable():
        raise Invalid("Please give a name of up to 120 printable characters.", field="name")
    return name


def get_dataset(db: Session, project: Project, dataset_id: int) -> Dataset:
    """A dataset of this project. Raises NotFound."""
    dataset = db.scalar(
        select(Dataset).where(Dataset.id == dataset_id, Dataset.project_id == project.id)
    )
    if dataset is None:
        raise NotFound("There is no such dataset in this project.")
    return dataset


def find_datasets(
    db: Session, project: Project, *, before: int | None = None, limit: int = 20
) -> Sequence[tuple[Dataset, CriteriaVersion, Job | None]]:
    """Datasets with their criteria version and job, newest first, a page at a time."""
    query = (
        select(Dataset, CriteriaVersion, Job)
        .join(CriteriaVersion, CriteriaVersion.id == Dataset.version_id)
        .outerjoin(Job, Job.id == Dataset.job_id)
        .where(Dataset.project_id == project.id)
        .order_by(Dataset.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(Dataset.id < before)
    return db.execute(query).all()


def find_ready(db: Session, project: Project, *, limit: int = 50) -> Sequence[Dataset]:
    """Datasets that training can use, newest first."""
    return db.scalars(
        select(Dataset)
        .where(Dataset.project_id == project.id, Dataset.manifest_sha256.is_not(None))
        .order_by(Dataset.id.desc())
        .limit(limit)
    ).all()


def ready_dataset(db: Session, project: Project, dataset_id: int | None) -> Dataset:
    """A dataset that something can be made from, as chosen in a form. Raises Invalid."""
    if dataset_id is None:
        raise Invalid("Please choose a dataset.", field="dataset_id")
    try:
        dataset = get_dataset(db, project, dataset_id)
    except NotFound as error:
        raise Invalid(error.message, field="dataset_id") from error
    if dataset.manifest_sha256 is None:
        raise Invalid("This dataset is not ready yet.", field="dataset_id")
    if not (folder_of(dataset) / "manifest.json").is_file():
        raise Invalid(
            "The folder of this dataset is gone.", field="dataset_id", hint="Freeze another one."
        )
    return dataset


def folder_of(dataset: Dataset) -> Path:
    """Where a ready dataset lies. Raises Conflict for one that is not ready."""
    if dataset.folder is None:
        raise Conflict("This dataset is not ready yet.")
    return settings().datasets_folder / dataset.folder


def read_snapshot(
    db: Session, project: Project, dataset: Dataset, criteria: Criteria
) -> Iterator[Example]:
    """Images with confirmed labels, by id. One transaction sees one state of all of them when the
    caller has set REPEATABLE READ.
    """
    after = 0
    while True:
        query = (
            select(Image)
            .where(Image.project_id == project.id, Image.id > after)
            .order_by(Image.id)
            .limit(BATCH)
        )
        if dataset.options.get("only_done"):
            query = query.where(Image.done_at.is_not(None))
        images = db.scalars(query).all()
        if not images:
            return
        labels = find_effective_labels(db, [each.id for each in images], criteria=criteria)
        for image in images:
            held = labels[image.id]
            yield Example(image, held.positive, held.negative)
        after = images[-1].id


def close_dataset(
    dataset: Dataset, *, folder: str, manifest_sha256: str, counts: Json, num_bytes: int
) -> None:
    """The folder is complete: name it and its hash. A ready dataset is never changed again."""
    if dataset.manifest_sha256 is not None and dataset.manifest_sha256 != manifest_sha256:
        raise Conflict("This dataset is ready already and cannot change.")
    dataset.folder, dataset.manifest_sha256 = folder, manifest_sha256
    dataset.counts, dataset.bytes = counts, num_bytes

"""Freezing confirmed labels into a dataset: asking for it, reading the snapshot, closing it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.audits.doubting import find_under
from app.criteria.models import CriteriaVersion
from app.criteria.reading import current_version, version_criteria
from app.database import Json
from app.datasets.models import Dataset
from app.datasets.selecting import Choice, Survey, check_choice, check_not_empty, survey
from app.errors import Conflict, Invalid, NotFound
from app.images.inclusion import left_out
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.labels.models import Label
from app.projects.models import Project
from app.settings import settings
from app.webhooks.telling import tell
from method.manifests import MANIFEST
from method.saved_texts import one_line

DEFAULT = Choice()


def survey_dataset(db: Session, project: Project, choice: Choice) -> Survey:
    """What freezing now would give. Raises Invalid where nothing is published or an option is none."""
    check_choice(choice)
    choice = _with_attributes(db, project, choice)
    return survey(db, project, choice, version_criteria(_published(db, project)))


def _with_attributes(db: Session, project: Project, choice: Choice) -> Choice:
    """The same with the attributes named that are under the least accuracy now."""
    if choice.least_accuracy is None:
        return choice
    under = find_under(db, project, choice.least_accuracy)
    return replace(choice, without=tuple(sorted(each.side for each in under)))


def _published(db: Session, project: Project) -> CriteriaVersion:
    version = current_version(db, project)
    if version is None:
        raise Invalid(
            "The criteria have not been published yet.",
            field="criteria",
            hint="Publish a version first.",
        )
    return version


def freeze_dataset(
    db: Session,
    project: Project,
    *,
    name: str,
    by: Person | None,
    choice: Choice = DEFAULT,
) -> Dataset:
    """Ask for a dataset of the confirmed labels as they are when the job begins.

    Raises Invalid where nothing is published, no label is confirmed, an option is none, or it leaves
    nothing to freeze.
    """
    name = checked_name(name)
    check_choice(choice)
    choice = _with_attributes(db, project, choice)
    version = _published(db, project)
    confirmed = select(Label.id).where(
        Label.project_id == project.id,
        Label.state == "confirmed",
        Label.image_id.not_in(left_out(project.id)),
    )
    if db.scalar(confirmed.limit(1)) is None:
        raise Invalid(
            "No label is confirmed yet.",
            field="labels",
            hint="A dataset freezes confirmed labels: correct some first.",
        )
    check_not_empty(db, project, choice, version_criteria(version))
    # Numbers are counted under a lock on the project, so that two leads get different ones.
    db.execute(select(Project.id).where(Project.id == project.id).with_for_update())
    last = db.scalar(select(func.max(Dataset.number)).where(Dataset.project_id == project.id))
    dataset = Dataset(
        project_id=project.id,
        number=(last or 0) + 1,
        name=name,
        version_id=version.id,
        options=choice.as_options(),
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
    name = one_line(name)
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
    if not (folder_of(dataset) / MANIFEST).is_file():
        raise Invalid(
            "The folder of this dataset is gone.", field="dataset_id", hint="Freeze another one."
        )
    return dataset


def folder_of(dataset: Dataset) -> Path:
    """Where a ready dataset lies. Raises Conflict for one that is not ready."""
    if dataset.folder is None:
        raise Conflict("This dataset is not ready yet.")
    return settings().datasets_folder / dataset.folder


def close_dataset(
    db: Session,
    dataset: Dataset,
    *,
    folder: str,
    manifest_sha256: str,
    counts: Json,
    num_bytes: int,
) -> None:
    """The folder is complete: name it and its hash. A ready dataset is never changed again."""
    if dataset.manifest_sha256 is not None and dataset.manifest_sha256 != manifest_sha256:
        raise Conflict("This dataset is ready already and cannot change.")
    dataset.folder, dataset.manifest_sha256 = folder, manifest_sha256
    dataset.counts, dataset.bytes = counts, num_bytes
    data = {"dataset": dataset.id, "number": dataset.number, "name": dataset.name}
    data |= {"sha256": manifest_sha256, "images": counts.get("images")}
    tell(db, dataset.project_id, "dataset.frozen", data, subject=str(dataset.id))

"""Pair datasets: asking for one, finding them, closing one. A worker builds them (`worker.pairs`)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.datasets import freezing
from app.datasets.models import Dataset, PairDataset
from app.errors import Conflict, Invalid, NotFound
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.projects.models import Project
from app.settings import settings
from method.manifests import MANIFEST
from method.places import find_existing

SOURCES = {
    "labels": "labels",
    "generated": "generated images",
    "import": "an imported file",
    "study": "a study",
}
NEAREST = 5


@dataclass(frozen=True)
class Generation:
    """How images are generated that are ranked and paired: by which model, and how many.

    `base_model` is a folder or hub id; with `run_id` the weights of that run are put on it.
    """

    base_model: str
    run_id: int | None = None
    images_per_prompt: int = 4
    max_prompts: int = 100
    resolution: int = 1024
    steps: int = 30
    guidance: float = 5.0
    seed: int = 0


# What each number of a Generation may be; the words of the refusal come from here too.
BOUNDS = {
    "images_per_prompt": (2, 16),
    "max_prompts": (1, 100_000),
    "resolution": (16, 4096),
    "steps": (1, 1000),
    "guidance": (0, 100),
    "seed": (0, 2**31 - 1),
}


def pair_by_labels(
    db: Session,
    project: Project,
    *,
    name: str,
    dataset_id: int | None,
    by: Person | None,
    min_difference: int = 1,
    nearest: int = NEAREST,
    max_pairs_per_image: int = 4,
    with_unfinished: bool = False,
) -> PairDataset:
    """Ask for pairs of a dataset's images: the one with fewer negative attributes wins, and where they
    have as many the one with more positive ones.

    Images of one prompt are compared, and with `nearest` those of that many similar prompts too.
    Images that were not finished are left out unless asked for: one with few labels may just have had
    few looked at. Raises Invalid.
    """
    _check_range("min_difference", min_difference, 1, 1000)
    _check_range("nearest", nearest, 0, 100)
    _check_range("max_pairs_per_image", max_pairs_per_image, 1, 1000)
    dataset = freezing.ready_dataset(db, project, dataset_id)
    options: Json = {
        "min_difference": min_difference,
        "nearest": nearest,
        "max_pairs_per_image": max_pairs_per_image,
        "with_unfinished": with_unfinished,
    }
    return _ask(db, project, "labels", name=name, dataset=dataset, options=options, by=by)


def pair_generated(
    db: Session,
    project: Project,
    *,
    name: str,
    dataset_id: int | None,
    generation: Generation,
    by: Person | None,
) -> PairDataset:
    """Ask for pairs of images generated for a dataset's prompts, ranked by the measured agent.

    The caller has made sure that the generation's model and run are there. Raises Invalid.
    """
    for field, (low, high) in BOUNDS.items():
        _check_range(field, getattr(generation, field), low, high)
    dataset = freezing.ready_dataset(db, project, dataset_id)
    options = asdict(generation)
    return _ask(db, project, "generated", name=name, dataset=dataset, options=options, by=by)


def import_pairs(
    db: Session, project: Project, *, name: str, path: str, by: Person | None
) -> PairDataset:
    """Ask for the pairs of a Parquet file, or a folder of them, in Pick-a-Pic's layout.

    It has to lie in one of the folders of the server that are open for imports. Raises Invalid.
    """
    options: Json = {"path": str(_importable(path))}
    return _ask(db, project, "import", name=name, dataset=None, options=options, by=by)


def pair_by_study(
    db: Session,
    project: Project,
    *,
    name: str,
    study_id: int,
    by: Person | None,
    min_agreement: float = 0.5,
) -> PairDataset:
    """Ask for the pairs that participants of a study decided: the image that more of them preferred wins, with at least
    that share of all. The caller has made sure that the study is one of the project. Raises Invalid.
    """
    _check_range("min_agreement", min_agreement, 0, 1)
    options: Json = {"study_id": study_id, "min_agreement": min_agreement}
    return _ask(db, project, "study", name=name, dataset=None, options=options, by=by)


def _check_range(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise Invalid(f"This has to be from {low} to {high}.", field=field)


def _importable(path: str) -> Path:
    folders = settings().import_folders
    if not folders:
        raise Invalid(
            "No folder of the server is open for imports.",
            field="path",
            hint="The operator opens some with MORELLI_IMPORT_FOLDERS.",
        )
    found = find_existing(path, folders)
    if found is None or not (found.is_dir() or found.suffix == ".parquet"):
        places = ", ".join(map(str, folders))
        raise Invalid(
            "There is no such Parquet file or folder to import.",
            field="path",
            hint=f"Folders open for imports: {places}.",
        )
    return found


def _ask(
    db: Session,
    project: Project,
    source: str,
    *,
    name: str,
    dataset: Dataset | None,
    options: Json,
    by: Person | None,
) -> PairDataset:
    name = freezing.checked_name(name)
    # Numbers are counted under a lock on the project, so that two leads get different ones.
    db.execute(select(Project.id).where(Project.id == project.id).with_for_update())
    last = db.scalar(
        select(func.max(PairDataset.number)).where(PairDataset.project_id == project.id)
    )
    made = PairDataset(
        project_id=project.id,
        number=(last or 0) + 1,
        name=name,
        source=source,
        dataset_id=dataset.id if dataset else None,
        options=options,
        created_by=by.id if by else None,
    )
    db.add(made)
    db.flush()
    queue = "gpu" if source == "generated" else "cpu"
    spec = {"pair_dataset_id": made.id}
    made.job_id = submit(db, project=project, kind="pair_dataset", spec=spec, by=by, queue=queue).id
    db.flush()
    return made


# Finding ------------------------------------------------------------------------------------------


def get_pair_dataset(db: Session, project: Project, pair_dataset_id: int) -> PairDataset:
    """A pair dataset of this project. Raises NotFound."""
    found = db.scalar(
        select(PairDataset).where(
            PairDataset.id == pair_dataset_id, PairDataset.project_id == project.id
        )
    )
    if found is None:
        raise NotFound("There is no such pair dataset in this project.")
    return found


def find_pair_datasets(
    db: Session, project: Project, *, before: int | None = None, limit: int = 20
) -> Sequence[tuple[PairDataset, Dataset | None, Job | None]]:
    """Pair datasets with the dataset they come from and their job, newest first, a page at a time."""
    query = (
        select(PairDataset, Dataset, Job)
        .outerjoin(Dataset, Dataset.id == PairDataset.dataset_id)
        .outerjoin(Job, Job.id == PairDataset.job_id)
        .where(PairDataset.project_id == project.id)
        .order_by(PairDataset.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(PairDataset.id < before)
    return [(pairs, dataset, job) for pairs, dataset, job in db.execute(query)]


def find_ready(db: Session, project: Project, *, limit: int = 50) -> Sequence[PairDataset]:
    """Pair datasets that training can use, newest first."""
    return db.scalars(
        select(PairDataset)
        .where(PairDataset.project_id == project.id, PairDataset.manifest_sha256.is_not(None))
        .order_by(PairDataset.id.desc())
        .limit(limit)
    ).all()


def ready_pair_dataset(db: Session, project: Project, pair_dataset_id: int | None) -> PairDataset:
    """A pair dataset to train on, as chosen in a form. Raises Invalid."""
    if pair_dataset_id is None:
        raise Invalid("Please choose a pair dataset.", field="pair_dataset_id")
    try:
        pairs = get_pair_dataset(db, project, pair_dataset_id)
    except NotFound as error:
        raise Invalid(error.message, field="pair_dataset_id") from error
    if pairs.manifest_sha256 is None:
        raise Invalid("This pair dataset is not ready yet.", field="pair_dataset_id")
    if not (folder_of(pairs) / MANIFEST).is_file():
        raise Invalid(
            "The folder of this pair dataset is gone.",
            field="pair_dataset_id",
            hint="Make another one.",
        )
    return pairs


def folder_of(pairs: PairDataset) -> Path:
    """Where a ready pair dataset lies. Raises Conflict for one that is not ready."""
    if pairs.folder is None:
        raise Conflict("This pair dataset is not ready yet.")
    return settings().pairs_folder / pairs.folder


def close_pair_dataset(
    pairs: PairDataset, *, folder: str, manifest_sha256: str, counts: Json, num_bytes: int
) -> None:
    """The folder is complete: name it and its hash. A ready pair dataset is never changed again."""
    if pairs.manifest_sha256 is not None and pairs.manifest_sha256 != manifest_sha256:
        raise Conflict("This pair dataset is ready already and cannot change.")
    pairs.folder, pairs.manifest_sha256 = folder, manifest_sha256
    pairs.counts, pairs.bytes = counts, num_bytes

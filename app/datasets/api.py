"""Datasets as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.criteria.models import CriteriaVersion
from app.datasets import erasures, freezing, pair_reading, pairing
from app.datasets.access import ProjectPairs, picture
from app.datasets.models import Dataset, PairDataset
from app.datasets.schemas import (
    ChoiceIn,
    DatasetIn,
    DatasetOut,
    DatasetsOut,
    GeneratedPairsIn,
    ImportPairsIn,
    LabelPairsIn,
    PairDatasetOut,
    PairDatasetsOut,
    PairOut,
    PairPageOut,
    SurveyedOut,
    SurveyOut,
)
from app.images import storage
from app.images.access import Cursor, KnownTag
from app.jobs.models import Job
from app.jobs.queueing import get_job
from app.labels.access import Sight
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.runs import launching
from app.web.dependencies import Db
from app.web.describing import UNCHANGED, Responses
from method.manifests import Split

router = APIRouter(prefix="/api/v1/projects/{project}/datasets", tags=["datasets"])


def _out(
    dataset: Dataset, version: CriteriaVersion, job: Job | None, erased: list[int]
) -> DatasetOut:
    return DatasetOut(
        id=dataset.id,
        number=dataset.number,
        name=dataset.name,
        job_id=dataset.job_id,
        state="ready" if dataset.manifest_sha256 else job.state if job else "failed",
        criteria_version=version.number,
        criteria_sha256=version.sha256,
        options=dataset.options,
        counts=dataset.counts or {},
        bytes=dataset.bytes or 0,
        folder=str(freezing.folder_of(dataset)) if dataset.folder else None,
        sha256=dataset.manifest_sha256,
        erased_images=erased,
        created_at=dataset.created_at,
    )


@router.get("")
def api_list_datasets(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> DatasetsOut:
    """Datasets, newest first."""
    found = freezing.find_datasets(db, project, before=before, limit=limit + 1)
    gone = erasures.find_erased(db, [row[0] for row in found[:limit]])
    items = [_out(*row, gone.get(row[0], [])) for row in found[:limit]]
    return DatasetsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("", status_code=202)
def api_freeze_dataset(
    body: DatasetIn, db: Db, project: LeadProject, person: CurrentPerson
) -> DatasetOut:
    """Freeze the confirmed labels; the job tells how far it is."""
    dataset = freezing.freeze_dataset(db, project, name=body.name, choice=body.choice, by=person)
    db.refresh(dataset)
    return _loaded(db, project, dataset)


@router.get("/survey")
def api_survey_dataset(
    db: Db,
    project: AnnotatorProject,
    sight: Sight,
    options: Annotated[ChoiceIn, Query()],
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> SurveyOut:
    """What freezing with these options would give now: counts, and the images by id."""
    found = freezing.survey_dataset(db, project, options.choice)
    rows = [row for row in found.rows if row[0].image.id > (after or 0)]
    items = [
        SurveyedOut(
            image_id=each.image.id,
            name=each.image.name,
            split=split,
            positive=len(each.positive),
            negative=len(each.negative),
            undecided=each.num_undecided if sight else None,
            is_finished=each.is_finished,
            contradictions=[contradiction.message for contradiction in each.contradictions],
        )
        for each, split in rows[:limit]
    ]
    return SurveyOut(
        counts=found.counts,
        items=items,
        next=items[-1].image_id if len(rows) > limit else None,
        sampled=found.sampled,
        of=found.of,
    )


def _loaded(db: Session, project: Project, dataset: Dataset) -> DatasetOut:
    version = db.get_one(CriteriaVersion, dataset.version_id)
    job = get_job(db, project, dataset.job_id) if dataset.job_id else None
    return _out(dataset, version, job, erasures.erased_in(db, dataset))


# Pairs --------------------------------------------------------------------------------------------


@router.get("/pairs")
def api_list_pair_datasets(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> PairDatasetsOut:
    """Pair datasets, newest first."""
    found = pairing.find_pair_datasets(db, project, before=before, limit=limit + 1)
    gone = erasures.find_erased(db, [row[0] for row in found[:limit]])
    items = [PairDatasetOut.of(pairs, job, gone.get(pairs, [])) for pairs, _, job in found[:limit]]
    return PairDatasetsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("/pairs/by-labels", status_code=202)
def api_pair_by_labels(
    body: LabelPairsIn, db: Db, project: LeadProject, person: CurrentPerson
) -> PairDatasetOut:
    """Pair a dataset's images by their labels; the job tells how far it is."""
    pairs = pairing.pair_by_labels(db, project, by=person, **body.model_dump())
    return _loaded_pairs(db, project, pairs)


@router.post("/pairs/generated", status_code=202)
def api_generate_pairs(
    body: GeneratedPairsIn, db: Db, project: LeadProject, person: CurrentPerson
) -> PairDatasetOut:
    """Generate images, rank them and pair them; the job tells how far it is."""
    values = body.model_dump(exclude={"name", "dataset_id"})
    generation = launching.compose_generation(db, project, **values)
    pairs = pairing.pair_generated(
        db, project, name=body.name, dataset_id=body.dataset_id, generation=generation, by=person
    )
    db.refresh(pairs)
    return PairDatasetOut.of(pairs, get_job(db, project, pairs.job_id or 0), [])


@router.post("/pairs/imported", status_code=202)
def api_import_pairs(
    body: ImportPairsIn, db: Db, project: LeadProject, person: CurrentPerson
) -> PairDatasetOut:
    """Import pairs of the server; the job tells how far it is."""
    pairs = pairing.import_pairs(db, project, by=person, **body.model_dump())
    return _loaded_pairs(db, project, pairs)


@router.get("/pairs/{pair_dataset_id:int}")
def api_get_pair_dataset(pairs: ProjectPairs, db: Db, project: AnnotatorProject) -> PairDatasetOut:
    """One pair dataset with its counts and hashes."""
    return _loaded_pairs(db, project, pairs)


@router.get("/pairs/{pair_dataset_id}/pairs")
def api_list_pairs(
    pairs: ProjectPairs,
    split: Split = "train",
    after: Cursor = None,
    limit: Annotated[int, Query(ge=1, le=100)] = pair_reading.PAGE,
) -> PairPageOut:
    """The pairs of a split in the order of the file."""
    page = pair_reading.read_page(pairs, split, after=after, limit=limit)
    return PairPageOut(items=[PairOut.model_validate(each) for each in page.pairs], next=page.after)


PICTURES: Responses = {
    200: {"content": {each: {} for each in storage.TYPES.values()}},
    **UNCHANGED,
}


@router.get("/pairs/{pair_dataset_id}/{kind}/{file}", response_class=Response, responses=PICTURES)
def api_get_pair_picture(
    pairs: ProjectPairs, kind: pair_reading.Kind, file: str, known: KnownTag = None
) -> Response:
    """A picture of a pair with a long side of at most 400 (`thumb`, WebP) or 2048 pixels (`display`, JPEG)."""
    return picture(pairs, kind, file, known)


def _loaded_pairs(db: Session, project: Project, pairs: PairDataset) -> PairDatasetOut:
    db.refresh(pairs)
    job = get_job(db, project, pairs.job_id) if pairs.job_id else None
    return PairDatasetOut.of(pairs, job, erasures.erased_in(db, pairs))


# One dataset --------------------------------------------------------------------------------------


@router.get("/{dataset_id}")
def api_get_dataset(dataset_id: int, db: Db, project: AnnotatorProject) -> DatasetOut:
    """One dataset with its counts and hashes."""
    return _loaded(db, project, freezing.get_dataset(db, project, dataset_id))

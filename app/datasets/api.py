"""Datasets as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.accounts.access import CurrentPerson
from app.criteria.models import CriteriaVersion
from app.datasets import freezing, pairing
from app.datasets.models import Dataset, PairDataset
from app.datasets.schemas import (
    DatasetIn,
    DatasetOut,
    DatasetsOut,
    ImportPairsIn,
    LabelPairsIn,
    PairDatasetOut,
    PairDatasetsOut,
)
from app.jobs.models import Job
from app.jobs.queueing import get_job
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/datasets", tags=["datasets"])


def _out(dataset: Dataset, version: CriteriaVersion, job: Job | None) -> DatasetOut:
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
    items = [_out(*row) for row in found[:limit]]
    return DatasetsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("", status_code=202)
def api_freeze_dataset(
    body: DatasetIn, db: Db, project: LeadProject, person: CurrentPerson
) -> DatasetOut:
    """Freeze the confirmed labels; the job tells how far it is."""
    dataset = freezing.freeze_dataset(
        db, project, name=body.name, salt=body.salt, only_done=body.only_done, by=person
    )
    db.refresh(dataset)
    return _loaded(db, project, dataset)


def _loaded(db: Session, project: Project, dataset: Dataset) -> DatasetOut:
    version = db.get_one(CriteriaVersion, dataset.version_id)
    job = get_job(db, project, dataset.job_id) if dataset.job_id else None
    return _out(dataset, version, job)


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
    items = [PairDatasetOut.of(pairs, job) for pairs, _, job in found[:limit]]
    return PairDatasetsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("/pairs/by-labels", status_code=202)
def api_pair_by_labels(
    body: LabelPairsIn, db: Db, project: LeadProject, person: CurrentPerson
) -> PairDatasetOut:
    """Pair a dataset's images by their labels; the job tells how far it is."""
    pairs = pairing.pair_by_labels(db, project, by=person, **body.model_dump())
    return _loaded_pairs(db, project, pairs)


@router.post("/pairs/imported", status_code=202)
def api_import_pairs(
    body: ImportPairsIn, db: Db, project: LeadProject, person: CurrentPerson
) -> PairDatasetOut:
    """Import pairs of the server; the job tells how far it is."""
    pairs = pairing.import_pairs(db, project, by=person, **body.model_dump())
    return _loaded_pairs(db, project, pairs)


@router.get("/pairs/{pair_dataset_id}")
def api_get_pair_dataset(pair_dataset_id: int, db: Db, project: AnnotatorProject) -> PairDatasetOut:
    """One pair dataset with its counts and hashes."""
    return _loaded_pairs(db, project, pairing.get_pair_dataset(db, project, pair_dataset_id))


def _loaded_pairs(db: Session, project: Project, pairs: PairDataset) -> PairDatasetOut:
    db.refresh(pairs)
    return PairDatasetOut.of(pairs, get_job(db, project, pairs.job_id) if pairs.job_id else None)


# One dataset --------------------------------------------------------------------------------------


@router.get("/{dataset_id}")
def api_get_dataset(dataset_id: int, db: Db, project: AnnotatorProject) -> DatasetOut:
    """One dataset with its counts and hashes."""
    return _loaded(db, project, freezing.get_dataset(db, project, dataset_id))

"""Datasets as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.orm import Session

from app.accounts.access import CurrentPerson
from app.criteria.models import CriteriaVersion
from app.datasets import freezing
from app.datasets.models import Dataset
from app.datasets.schemas import DatasetIn, DatasetOut, DatasetsOut
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


@router.get("/{dataset_id}")
def api_get_dataset(dataset_id: int, db: Db, project: AnnotatorProject) -> DatasetOut:
    """One dataset with its counts and hashes."""
    return _loaded(db, project, freezing.get_dataset(db, project, dataset_id))

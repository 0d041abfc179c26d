"""Datasets: freeze one, see what is in it; and pairs of images."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.audits.vouching import find_vouching
from app.criteria.models import CriteriaVersion
from app.criteria.reading import current_version
from app.datasets import erasures, freezing, pair_reading, pairing, selecting
from app.datasets.access import ProjectPairs, picture
from app.datasets.forms import (
    DatasetForm,
    GenerateForm,
    ImportPairsForm,
    LabelPairsForm,
    SurveyForm,
)
from app.datasets.models import Dataset, PairDataset
from app.errors import AppError, Invalid
from app.images.access import Cursor, KnownTag
from app.jobs.models import OPEN_STATES
from app.jobs.queueing import get_job
from app.labels.access import Sight
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.runs import base_models, launching, reading
from app.settings import settings
from app.web.answer import Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from method.manifests import SPLITS, Split

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/datasets")
PAGE = 20
SURVEYED = 100


def _list(
    db: Db,
    answer: Answering,
    project: Project,
    *,
    before: int | None = None,
    form: Form[DatasetForm] | None = None,
    status: int = 200,
) -> Response:
    found = freezing.find_datasets(db, project, before=before, limit=PAGE + 1)
    rows = found[:PAGE]
    return answer.show(
        "datasets/list.html",
        fragment="datasets/_table.html",
        status=status,
        rows=rows,
        next=rows[-1][0].id if len(found) > PAGE else None,
        is_live=before is None and any(job and job.state in OPEN_STATES for _, _, job in rows),
        version=current_version(db, project),
        form=form or Form(),
        fractions=selecting.FRACTIONS,
        rules=selecting.RULES,
    )


@router.get("/survey")
def show_survey(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    sight: Sight,
    asked: Annotated[SurveyForm, Query()],
) -> Response:
    """What freezing with these options would give now."""
    found, problem = None, None
    try:
        found = freezing.survey_dataset(db, project, asked.choice)
    except Invalid as error:
        problem = error
    return answer.show(
        "datasets/survey.html",
        fragment="datasets/_survey.html",
        survey=found,
        problem=problem,
        shown=SURVEYED,
        sight=sight,
        splits=list(selecting.FRACTIONS),
    )


@router.get("")
def show_datasets(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """Datasets, newest first, and the form for another."""
    return _list(db, answer, project, before=before)


@router.post("")
def submit_dataset(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[DatasetForm], Depends(submitted(DatasetForm))],
) -> Response:
    """Freeze the confirmed labels."""
    if not form.errors:
        with form.attempt():
            values = form.values
            freezing.freeze_dataset(db, project, name=values.name, choice=values.choice, by=person)
    if form.errors:
        return _list(db, answer, project, form=form, status=422)
    return RedirectResponse(answer.path("show_datasets", project=project.slug), 303)


# Pairs --------------------------------------------------------------------------------------------


def _list_pairs(
    db: Db,
    answer: Answering,
    project: Project,
    *,
    before: int | None = None,
    by_labels: Form[LabelPairsForm] | None = None,
    imported: Form[ImportPairsForm] | None = None,
) -> Response:
    found = pairing.find_pair_datasets(db, project, before=before, limit=PAGE + 1)
    rows, datasets = found[:PAGE], freezing.find_ready(db, project)
    return answer.show(
        "datasets/pairs.html",
        fragment="datasets/_pairs_table.html",
        status=422 if by_labels or imported else 200,
        rows=rows,
        next=rows[-1][0].id if len(found) > PAGE else None,
        is_live=before is None and any(job and job.state in OPEN_STATES for _, _, job in rows),
        datasets=datasets,
        erased=erasures.find_erased(db, datasets),
        sources=pairing.SOURCES,
        folders=[str(each) for each in settings().import_folders],
        by_labels=by_labels or Form(),
        imported=imported or Form(),
    )


@router.get("/pairs")
def show_pair_datasets(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """Pair datasets, newest first, and the forms for another."""
    return _list_pairs(db, answer, project, before=before)


@router.post("/pairs/by-labels")
def submit_label_pairs(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[LabelPairsForm], Depends(submitted(LabelPairsForm))],
) -> Response:
    if not form.errors:
        with form.attempt():
            values = form.values
            pairing.pair_by_labels(
                db,
                project,
                name=values.name,
                dataset_id=values.chosen_dataset,
                min_difference=values.min_difference,
                max_pairs_per_image=values.max_pairs_per_image,
                nearest=values.nearest,
                with_unfinished=values.with_unfinished,
                by=person,
            )
    if form.errors:
        return _list_pairs(db, answer, project, by_labels=form)
    return RedirectResponse(answer.path("show_pair_datasets", project=project.slug), 303)


@router.post("/pairs/imported")
def submit_imported_pairs(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[ImportPairsForm], Depends(submitted(ImportPairsForm))],
) -> Response:
    """Import pairs that lie on the server."""
    if not form.errors:
        with form.attempt():
            values = form.values
            pairing.import_pairs(db, project, name=values.name, path=values.path, by=person)
    if form.errors:
        return _list_pairs(db, answer, project, imported=form)
    return RedirectResponse(answer.path("show_pair_datasets", project=project.slug), 303)


def _show_generate(
    db: Db, answer: Answering, project: Project, form: Form[GenerateForm]
) -> Response:
    datasets = freezing.find_ready(db, project)
    return answer.show(
        "datasets/generate.html",
        status=422 if form.errors else 200,
        form=form,
        datasets=datasets,
        erased=erasures.find_erased(db, datasets),
        models=base_models.find_base_models(),
        runs=launching.find_finished(db, project),
        usual=pairing.Generation(""),
    )


@router.get("/pairs/generated")
def show_generate_pairs(db: Db, answer: Answering, project: LeadProject) -> Response:
    """The form for images that are generated, ranked and paired."""
    return _show_generate(db, answer, project, Form())


@router.post("/pairs/generated")
def submit_generated_pairs(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[GenerateForm], Depends(submitted(GenerateForm))],
) -> Response:
    pairs = None
    if not form.errors:
        values = form.values
        with form.attempt():
            generation = launching.compose_generation(
                db,
                project,
                base_model=values.base_model,
                run_id=reading.as_choice(values.run_id),
                **values.model_dump(include=set(pairing.BOUNDS)),
            )
            pairs = pairing.pair_generated(
                db,
                project,
                name=values.name,
                dataset_id=reading.as_choice(values.dataset_id),
                generation=generation,
                by=person,
            )
    if pairs is None:
        return _show_generate(db, answer, project, form)
    here = answer.path("show_pair_dataset", project=project.slug, pair_dataset_id=pairs.id)
    return RedirectResponse(here, 303)


@router.get("/pairs/{pair_dataset_id}")
def show_pair_dataset(
    pairs: ProjectPairs,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    split: Split | None = None,
    after: Cursor = None,
    before: Cursor = None,
) -> Response:
    """One pair dataset: what it was made from, counts, hash, and a page of its pairs."""
    job = get_job(db, project, pairs.job_id) if pairs.job_id else None
    split = split or _first_split(pairs)
    found, problem = _read_pairs(pairs, split, after, before)
    return answer.show(
        "datasets/pair_dataset.html",
        fragment="datasets/_pair_dataset.html",
        pairs=pairs,
        dataset=db.get_one(Dataset, pairs.dataset_id) if pairs.dataset_id else None,
        job=job,
        is_live=job is not None and job.state in OPEN_STATES,
        folder=pairing.folder_of(pairs) if pairs.folder else None,
        erased=erasures.erased_in(db, pairs),
        sources=pairing.SOURCES,
        splits=list(selecting.FRACTIONS),
        split=split,
        found=found,
        problem=problem,
    )


def _first_split(pairs: PairDataset) -> Split:
    return next((each for each in SPLITS if pairs.counts.get(each)), "train")


def _read_pairs(
    pairs: PairDataset, split: Split, after: int | None, before: int | None
) -> tuple[pair_reading.PairPage, AppError | None]:
    """A page of pairs, or why there is none: what else is known of the pair dataset is shown anyway."""
    nothing = pair_reading.PairPage([])
    if pairs.manifest_sha256 is None:
        return nothing, None
    try:
        return pair_reading.read_page(pairs, split, after=after, before=before), None
    except AppError as error:
        return nothing, error


@router.get("/pairs/{pair_dataset_id}/{kind}/{file}")
def show_pair_picture(
    pairs: ProjectPairs, kind: pair_reading.Kind, file: str, known: KnownTag = None
) -> Response:
    """A picture of a pair: `thumb` or `display`."""
    return picture(pairs, kind, file, known)


# One dataset --------------------------------------------------------------------------------------


@router.get("/{dataset_id}")
def show_dataset(dataset_id: int, db: Db, answer: Answering, project: AnnotatorProject) -> Response:
    """One dataset: counts, hashes, how to load it."""
    dataset = freezing.get_dataset(db, project, dataset_id)
    job = get_job(db, project, dataset.job_id) if dataset.job_id else None
    return answer.show(
        "datasets/dataset.html",
        fragment="datasets/_dataset.html",
        dataset=dataset,
        version=db.get_one(CriteriaVersion, dataset.version_id),
        job=job,
        is_live=job is not None and job.state in OPEN_STATES,
        folder=freezing.folder_of(dataset) if dataset.folder else None,
        erased=erasures.erased_in(db, dataset),
        splits=list(selecting.FRACTIONS),
        vouching=find_vouching(db, project, dataset.version_id),
    )

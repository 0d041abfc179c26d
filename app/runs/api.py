"""Runs and base models as JSON."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import Response

from app.accounts.access import CurrentPerson
from app.jobs import queueing
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.runs import (
    access,
    base_models,
    comparing,
    estimating,
    launching,
    reading,
    telling,
    watching,
)
from app.runs.access import ProjectRun
from app.runs.schemas import (
    BaseModelIn,
    BaseModelOut,
    BaseModelsOut,
    BucketsOut,
    CheckpointOut,
    CheckpointsOut,
    CurvesOut,
    DifferenceOut,
    DifferencesOut,
    EstimateIn,
    EstimateOut,
    LogOut,
    MemoryOut,
    MetricsOut,
    RunIn,
    RunOut,
    RunsOut,
    SampleOut,
    SamplesOut,
    VerdictOut,
)
from app.web.dependencies import Db
from app.web.describing import Responses
from method.training.config_fields import in_order

PNG: Responses = {200: {"content": {"image/png": {}}}}
WEIGHTS: Responses = {200: {"content": {"application/octet-stream": {}, "application/zip": {}}}}

router = APIRouter(prefix="/api/v1/projects/{project}", tags=["runs"])


def _out(row: reading.RunRow) -> RunOut:
    run, job = row.run, row.job
    return RunOut(
        id=run.id,
        number=run.number,
        name=run.name,
        kind=run.kind,
        state=job.state,
        attempt=job.attempt,
        job_id=job.id,
        dataset_id=run.dataset_id,
        pair_dataset_id=run.pair_dataset_id,
        expert_run_id=run.expert_run_id,
        start_run_id=run.start_run_id,
        negative_run_id=run.negative_run_id,
        progress=job.progress,
        error=job.error,
        last=dict(row.last),
        config=in_order(run.config),
        result=run.result,
        folder=str(launching.folder_of(run)),
        created_at=run.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def _loaded(db: Session, project: Project, run_id: int) -> RunOut:
    return _out(reading.get_run_row(db, project, run_id))


@router.get("/runs")
def api_list_runs(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> RunsOut:
    """Runs, newest first."""
    found = reading.find_runs(db, project, before=before, limit=limit + 1)
    items = [_out(row) for row in found[:limit]]
    return RunsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("/runs", status_code=202)
def api_launch_run(body: RunIn, db: Db, project: LeadProject, person: CurrentPerson) -> RunOut:
    """Launch a run; everything is checked before its job exists."""
    run = launching.launch_run(db, project, by=person, **body.model_dump())
    return _loaded(db, project, run.id)


@router.post("/runs/estimate")
def api_estimate_run(body: EstimateIn, db: Db, project: LeadProject) -> EstimateOut:
    """What a run would take: steps, time and memory. Nothing is launched."""
    chosen = launching.Chosen(body.dataset_id, body.pair_dataset_id)
    config = launching.compose_config(
        kind=body.kind, base_model=body.base_model, chosen=body.options, preset=body.preset
    )
    data = launching.find_data(db, project, body.kind, chosen)
    found = estimating.estimate(db, project, data, config)
    return EstimateOut(
        unit=found.unit,
        examples=found.examples,
        skipped=found.skipped,
        steps=found.steps,
        seconds=found.seconds,
        like=found.like.id if found.like else None,
        tflop=found.tflop,
        assumed_tflops=found.assumed_tflops,
        memory=MemoryOut.model_validate(found.memory),
        weights_counted=found.size.is_counted,
        warnings=found.warnings,
    )


@router.get("/runs/{run_id:int}")
def api_get_run(run_id: int, db: Db, project: AnnotatorProject) -> RunOut:
    """One run with its config, state and result."""
    return _loaded(db, project, run_id)


@router.get("/runs/{run_id}/metrics")
def api_list_run_metrics(
    db: Db,
    run: ProjectRun,
    after: int = -1,
    until: int | None = None,
    points: Annotated[int, Query(ge=1, le=10_000)] = reading.POINTS,
) -> MetricsOut:
    """Steps after a step as they were logged."""
    found = reading.find_metrics(db, run, after=after, until=until, points=points)
    return MetricsOut(
        items=[dict(row) for row in found.rows],
        next=found.rows[-1]["step"] if found.is_cut else None,
    )


@router.get("/runs/{run_id}/curves")
def api_get_run_curves(
    db: Db,
    run: ProjectRun,
    after: int = -1,
    until: int | None = None,
    seen: float | None = None,
    points: Annotated[int, Query(ge=2, le=10_000)] = reading.POINTS,
) -> CurvesOut:
    """Logged values after a step for drawing: where there are more than `points` steps, the lowest, the
    highest and the mean value of each bucket of steps. `seen` is the `time` of step `after` as the
    caller knows it.
    """
    found = reading.find_curves(db, run, after=after, until=until, seen=seen, points=points)
    step, time = found.newest or (None, None)
    return CurvesOut(
        groups=[BucketsOut.model_validate(each) for each in found.groups],
        step=step,
        time=time,
        thinned=found.is_thinned,
        restart=found.is_restart,
    )


@router.get("/runs/{run_id}/verdict")
def api_get_run_verdict(db: Db, run: ProjectRun) -> VerdictOut:
    """Whether a run works: what its winning part says, and what its expert knows of attributes."""
    return VerdictOut.model_validate(
        {"winning": telling.find_winning(db, run), "expert": telling.examination_of(run)}
    )


@router.get("/runs/{run_id}/differences/{other_id}")
def api_list_run_differences(
    run_id: int, other_id: int, db: Db, project: AnnotatorProject
) -> DifferencesOut:
    """The options in which two runs differ; where they keep their files is no difference."""
    found = comparing.compare_runs(
        reading.get_run_row(db, project, run_id), reading.get_run_row(db, project, other_id)
    )
    return DifferencesOut(items=[DifferenceOut.model_validate(each) for each in found])


@router.get("/runs/{run_id}/samples")
def api_list_run_samples(
    db: Db, project: AnnotatorProject, run: ProjectRun, request: Request
) -> SamplesOut:
    """Sample images, by step, prompt and model."""

    def address(file: str) -> str:
        return str(
            request.app.url_path_for(
                "api_get_run_sample", project=project.slug, run_id=run.id, file=file
            )
        )

    return SamplesOut(
        items=[
            SampleOut(
                file=(name := row.file.removeprefix("samples/")),
                step=row.step,
                index=row.index,
                model=row.model,
                prompt=row.prompt,
                seed=row.seed,
                address=address(name),
            )
            for row in reading.find_samples(db, run)
        ]
    )


@router.get("/runs/{run_id}/samples/{file}", response_class=Response, responses=PNG)
def api_get_run_sample(file: str, db: Db, run: ProjectRun) -> Response:
    """The bytes of one sample image (PNG)."""
    return access.sample(db, run, file)


@router.get("/runs/{run_id}/checkpoints")
def api_list_run_checkpoints(db: Db, run: ProjectRun) -> CheckpointsOut:
    """Complete checkpoints, newest first."""
    found = reading.find_checkpoints(db, run)
    return CheckpointsOut(items=[CheckpointOut.model_validate(each) for each in found])


@router.get("/runs/{run_id}/adapter", response_class=Response, responses=WEIGHTS)
def api_get_run_adapter(
    run: ProjectRun, form: Annotated[str, Query(pattern="^(safetensors|zip)$")] = "safetensors"
) -> Response:
    """The adapter's weights as safetensors, or with their model card as zip."""
    return access.adapter(run, zipped=form == "zip")


@router.get("/runs/{run_id}/log")
def api_get_run_log(
    project: LeadProject, run: ProjectRun, lines: Annotated[int, Query(ge=1, le=2000)] = 200
) -> LogOut:
    """The end of the log. For leads only: it tells where this installation keeps things."""
    del project
    return LogOut(text=reading.read_log(run, lines=lines))


@router.post("/runs/{run_id}/cancel")
def api_cancel_run(run_id: int, db: Db, project: LeadProject) -> RunOut:
    """Stop a run at its next step, with a checkpoint."""
    run = reading.get_run(db, project, run_id)
    queueing.request_cancel(db, project, run.job_id)
    watching.announce(db, run.id)
    db.flush()
    return _loaded(db, project, run_id)


@router.post("/runs/{run_id}/resume")
def api_resume_run(run_id: int, db: Db, project: LeadProject) -> RunOut:
    """Go on with a cancelled or failed run from its newest checkpoint."""
    run = reading.get_run(db, project, run_id)
    queueing.resume(db, project, run.job_id)
    watching.announce(db, run.id)
    db.flush()
    return _loaded(db, project, run_id)


def _base_models(db: Session) -> BaseModelsOut:
    making = base_models.find_making(db)
    return BaseModelsOut(
        items=[
            BaseModelOut(name=each.name, folder=str(each.folder))
            for each in base_models.find_base_models()
        ],
        making=making.id if making else None,
    )


@router.get("/base-models")
def api_list_base_models(db: Db, project: AnnotatorProject) -> BaseModelsOut:
    """The base models of this installation."""
    del project  # asked for as the right to look
    return _base_models(db)


@router.post("/base-models", status_code=202)
def api_make_base_model(
    body: BaseModelIn, db: Db, project: LeadProject, person: CurrentPerson
) -> BaseModelsOut:
    """Make a tiny base model, for machines without a GPU."""
    base_models.make_base_model(db, project, by=person, name=body.name, seed=body.seed)
    db.flush()
    return _base_models(db)

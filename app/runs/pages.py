"""Runs: launch one, watch it live, compare its curves, take its weights."""

from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from app.accounts.access import CurrentPerson
from app.database import Json
from app.datasets import freezing
from app.errors import AppError, Unavailable
from app.jobs import queueing
from app.jobs.models import OPEN_STATES
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.runs import access, base_models, launching, options, reading, watching
from app.runs.access import ProjectRun
from app.runs.forms import Choices, LaunchForm
from app.runs.picturing import picture_samples
from app.runs.prefilling import prefill
from app.web.answer import Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/runs")
PAGE = 20


@router.get("")
def show_runs(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """Runs, newest first."""
    found = reading.find_runs(db, project, before=before, limit=PAGE + 1)
    rows = found[:PAGE]
    return answer.show(
        "runs/list.html",
        fragment="runs/_table.html",
        rows=rows,
        before=before,
        next=rows[-1].run.id if len(found) > PAGE else None,
        is_live=before is None and any(row.job.state in OPEN_STATES for row in rows),
        has_dataset=bool(freezing.find_ready(db, project, limit=1)),
    )


# Launching ----------------------------------------------------------------------------------------


def _show_form(
    db: Db, answer: Answering, project: Project, form: Form[Choices], *, status: int = 200
) -> Response:
    kind = str(form.typed_or("kind", "sft"))
    kind = kind if kind in launching.KINDS else "sft"
    shown = [each for each in options.options().values() if each.concerns(kind)]
    main = [each for path in options.MAIN if (each := options.options()[path]) in shown]
    sections: dict[str, list[options.Option]] = {}
    for each in shown:
        if each not in main:
            sections.setdefault(each.section, []).append(each)
    models = base_models.find_base_models()
    return answer.show(
        "runs/launch.html",
        fragment="runs/_form.html",
        status=status,
        form=form,
        kind=kind,
        kinds=launching.KINDS,
        is_stage_2=kind in launching.STAGE_2,
        presets=options.presets(),
        datasets=freezing.find_ready(db, project),
        experts=reading.find_experts(db, project),
        models=models,
        has_tiny=any(each.name == base_models.TINY for each in models),
        making=base_models.find_making(db),
        main=main,
        sections=sections,
        has_hidden_errors=any(form.error(each.path) for part in sections.values() for each in part),
        as_text=options.as_text,
        model_name=base_models.model_name,
        estimate=_estimate(db, project, form.typed),
    )


@router.get("/new")
def show_launch(
    db: Db,
    answer: Answering,
    project: LeadProject,
    dataset: str = "",
    expert: str = "",
    clone: str = "",
    kind: str = "",
    preset: str = "",
    dataset_id: str = "",
    expert_run_id: str = "",
    base_model: str = "",
    name: str = "",
) -> Response:
    """The launch form, filled in from a preset or from another run."""
    typed = prefill(
        db,
        project,
        clone=clone,
        kind=kind,
        preset=preset,
        dataset=dataset_id or dataset,
        expert=expert_run_id or expert,
        base_model=base_model,
        name=name,
    )
    return _show_form(db, answer, project, Form(typed))


def _estimate(db: Db, project: Project, typed: dict[str, Any]) -> launching.Estimate | None:
    """How long a run as typed would be; None while that makes no sense yet."""
    try:
        dataset_id = reading.as_id(str(typed.get("dataset_id", "")))
        dataset = freezing.get_dataset(db, project, dataset_id or 0)
        config = launching.compose_config(
            kind=str(typed.get("kind")),
            base_model=str(typed.get("base_model", "")),
            chosen=options.typed_options(typed),
        )
        if dataset.manifest_sha256 is None:
            return None
        return launching.estimate(db, project, dataset, str(typed["kind"]), config)
    except AppError:
        return None


@router.post("/estimate")
def show_estimate(
    db: Db,
    answer: Answering,
    project: LeadProject,
    form: Annotated[Form[Choices], Depends(submitted(LaunchForm))],
) -> Response:
    """How long a run as typed would be."""
    estimate = _estimate(db, project, form.typed)
    return answer.show("runs/_estimate.html", estimate=estimate)


@router.post("")
def submit_run(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[Choices], Depends(submitted(LaunchForm))],
) -> Response:
    """Launch a run."""
    run = None
    if not form.errors:
        values = form.values
        # The choice of an expert stays in the form when the kind is changed without a script.
        expert = values.expert_run_id if values.kind in launching.STAGE_2 else ""
        with form.attempt():
            try:
                run = launching.launch_run(
                    db,
                    project,
                    kind=values.kind,
                    name=values.name,
                    dataset_id=values.dataset_id,
                    expert_run_id=reading.as_id(expert),
                    base_model=values.base_model,
                    options=options.typed_options(form.typed),
                    by=person,
                )
            except options.InvalidOptions as error:
                form.errors.update(error.errors)
    if run is None:
        return _show_form(db, answer, project, form, status=422)
    return RedirectResponse(answer.path("show_run", project=project.slug, run_id=run.id), 303)


@router.post("/base-model")
def make_tiny_model(
    db: Db, answer: Answering, project: LeadProject, person: CurrentPerson
) -> Response:
    """Have the tiny model made."""
    base_models.make_base_model(db, project, by=person)
    return RedirectResponse(answer.path("show_launch", project=project.slug), 303)


# One run ------------------------------------------------------------------------------------------


@router.get("/{run_id:int}")
def show_run(
    run_id: int, db: Db, answer: Answering, project: AnnotatorProject, step: int | None = None
) -> Response:
    """One run: state, curves, samples, checkpoints, config, log, weights."""
    row = reading.get_run_row(db, project, run_id)
    run = row.run
    return answer.show(
        "runs/run.html",
        fragment="runs/_live.html",
        row=row,
        run=run,
        job=row.job,
        is_live=row.job.state in OPEN_STATES,
        samples=picture_samples(reading.find_samples(db, run), step=step),
        checkpoints=reading.find_checkpoints(db, run),
        config=_yaml(run.config),
        log=reading.read_log(run),
        others=reading.find_others(db, run),
        kinds=launching.KINDS,
        model=base_models.model_name(run.config["model"]["path"]),
    )


def _yaml(config: Json) -> str:
    return yaml.safe_dump(options.in_order(config), sort_keys=False, allow_unicode=True, width=100)


@router.get("/{run_id:int}/events")
async def stream_run(run: ProjectRun) -> Response:
    """Server-sent events: `changed` whenever there is news, `unavailable` where pages have to ask.
    No database session is held meanwhile.
    """
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(run.id), media_type="text/event-stream", headers=headers)


async def _events(run_id: int) -> AsyncIterator[str]:
    ends = monotonic() + watching.STREAM_SECONDS
    try:
        async with watching.listening(run_id) as subscription:
            # Whatever happened between loading the page and listening counts as a change.
            yield "retry: 2000\nevent: changed\ndata: {}\n\n"
            while monotonic() < ends:
                is_news = await watching.next_change(subscription, watching.HEARTBEAT_SECONDS)
                yield "event: changed\ndata: {}\n\n" if is_news else ": still here\n\n"
    except Unavailable:
        yield "event: unavailable\ndata: {}\n\n"


@router.post("/{run_id:int}/cancel")
def cancel_run(run_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """Stop a run at its next step, with a checkpoint."""
    run = reading.get_run(db, project, run_id)
    queueing.request_cancel(db, project, run.job_id)
    watching.announce(db, run.id)
    return answer.done(go_to=answer.path("show_run", project=project.slug, run_id=run_id))


@router.post("/{run_id:int}/resume")
def resume_run(run_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """Go on with a cancelled or failed run."""
    run = reading.get_run(db, project, run_id)
    queueing.resume(db, project, run.job_id)
    watching.announce(db, run.id)
    return answer.done(go_to=answer.path("show_run", project=project.slug, run_id=run_id))


@router.get("/{run_id:int}/samples/{file}")
def show_run_sample(file: str, db: Db, run: ProjectRun) -> Response:
    """The bytes of one sample image."""
    return access.sample(db, run, file)


@router.get("/{run_id:int}/config.yaml")
def download_config(run: ProjectRun) -> Response:
    """The config, as `python -m worker.training` reads it."""
    headers = {"Content-Disposition": f'attachment; filename="{run.folder}.yaml"'}
    return PlainTextResponse(_yaml(run.config), media_type="text/yaml", headers=headers)


@router.get("/{run_id:int}/adapter.safetensors")
def download_adapter(run: ProjectRun) -> Response:
    """The weights."""
    return access.adapter(run, zipped=False)


@router.get("/{run_id:int}/adapter.zip")
def download_adapter_folder(run: ProjectRun) -> Response:
    """The weights with their model card."""
    return access.adapter(run, zipped=True)

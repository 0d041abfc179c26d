"""Runs: launch one, watch it live, compare its curves, take its weights."""

from collections.abc import AsyncIterator, Sequence
from time import monotonic
from typing import Annotated, Any

import yaml
from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from app.accounts.access import CurrentPerson
from app.database import Json
from app.datasets import erasures, freezing, pairing
from app.errors import AppError, Unavailable
from app.jobs import queueing
from app.jobs.models import OPEN_STATES
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.runs import (
    access,
    base_models,
    comparing,
    estimating,
    launching,
    options,
    reading,
    telling,
    watching,
)
from app.runs.access import ProjectRun
from app.runs.forms import Choices, LaunchForm, LaunchStart
from app.runs.models import Run
from app.runs.option_values import as_text
from app.runs.prefilling import IDS, prefill
from app.runs.sample_grid import sample_grid
from app.web.answer import Answer, Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from method.objectives import OBJECTIVES
from method.training.config_fields import in_order
from method.training.examination import Examination, table, verdict

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/runs")
PAGE = 20


@router.get("")
def show_runs(
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    before: int | None = None,
    compare: Annotated[list[Annotated[int, Field(ge=1)]] | None, Query()] = None,
) -> Response:
    """Runs, newest first. Those chosen to `compare` are shown as curves of the first one's page."""
    if compare:
        return RedirectResponse(_overlay(answer, project, compare), 303)
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


def _overlay(answer: Answer, project: Project, chosen: Sequence[int]) -> str:
    first, *others = chosen
    address = answer.path("show_run", project=project.slug, run_id=first)
    return f"{address}?compare={','.join(map(str, others))}" if others else address


# Launching ----------------------------------------------------------------------------------------


def _show_form(
    db: Db, answer: Answering, project: Project, form: Form[Choices], *, status: int = 200
) -> Response:
    kind = str(form.typed_or("kind"))
    kind = kind if kind in OBJECTIVES else next(iter(OBJECTIVES))
    models = base_models.find_base_models()
    datasets = freezing.find_ready(db, project)
    pair_datasets = pairing.find_ready(db, project)
    return answer.show(
        "runs/launch.html",
        fragment="runs/_form.html",
        status=status,
        form=form,
        kind=kind,
        objectives=OBJECTIVES,
        facts=OBJECTIVES[kind],
        presets=options.presets(),
        datasets=datasets,
        pair_datasets=pair_datasets,
        erased=erasures.find_erased(db, [*datasets, *pair_datasets]),
        experts=launching.find_finished(db, project, of=lambda facts: facts.makes_expert),
        starts=launching.find_finished(db, project),
        negatives=launching.find_finished(db, project, of=lambda facts: facts.makes_negative),
        models=models,
        has_tiny=any(each.name == base_models.TINY for each in models),
        making=base_models.find_making(db),
        known=options.options(),
        main=options.main_options(kind),
        sections=options.sections(kind),
        as_text=as_text,
        model_name=base_models.model_name,
        estimate=_estimate(db, project, form.typed),
        is_swapped=False,
        **_expert(db, project, form.typed),
    )


def _expert(db: Db, project: Project, typed: dict[str, Any]) -> dict[str, Any]:
    """What is known of the expert that is chosen, of kinds that take one."""
    run = telling.find_expert(db, project, _choices_of(typed).expert_run_id)
    return {"expert": run, **_examination(telling.examination_of(run) if run else None)}


def _examination(found: Examination | None) -> dict[str, Any]:
    """An examination with its words, as templates show it."""
    return {
        "examination": found,
        "gain_verdict": verdict(found) if found else "",
        "errors": table(found) if found else [],
    }


@router.get("/new")
def show_launch(
    db: Db, answer: Answering, project: LeadProject, start: Annotated[LaunchStart, Query()]
) -> Response:
    """The launch form, filled in from a preset or from another run."""
    typed = prefill(
        db,
        project,
        clone=start.clone,
        kind=start.kind,
        preset=start.preset,
        base_model=start.base_model,
        name=start.name,
        ids=start.ids(),
    )
    return _show_form(db, answer, project, Form(typed))


def _choices_of(typed: dict[str, Any]) -> launching.Chosen:
    """What was chosen, of what the kind takes: choices stay in the form when the kind is changed."""
    facts = OBJECTIVES.get(str(typed.get("kind")))
    if facts is None:
        return launching.Chosen()
    dropped = {"dataset_id" if facts.reads_pairs else "pair_dataset_id"}
    wants_expert = "sft" in (typed.get("objective.reference"), typed.get("theta.init"))
    if not facts.needs_expert and not wants_expert:
        dropped.add("expert_run_id")
    if typed.get("theta.init") != "path":
        dropped.add("start_run_id")
    if facts.makes_negative:
        dropped.add("negative_run_id")
    return launching.Chosen(
        **{
            field: reading.as_choice(str(typed.get(field, "")))
            for field in IDS
            if field not in dropped
        }
    )


def _estimate(db: Db, project: Project, typed: dict[str, Any]) -> estimating.Estimate | None:
    """What a run as typed would take; None while that makes no sense yet."""
    try:
        kind = str(typed.get("kind"))
        data = launching.find_data(db, project, kind, _choices_of(typed))
        config = launching.compose_config(
            kind=kind,
            base_model=str(typed.get("base_model", "")),
            chosen=options.typed_options(typed),
        )
        return estimating.estimate(db, project, data, config)
    except AppError:
        return None


@router.post("/estimate")
def show_estimate(
    db: Db,
    answer: Answering,
    project: LeadProject,
    form: Annotated[Form[Choices], Depends(submitted(LaunchForm))],
) -> Response:
    """What a run as typed would take."""
    estimate = _estimate(db, project, form.typed)
    return answer.show(
        "runs/_estimated.html",
        estimate=estimate,
        is_swapped=True,
        **_expert(db, project, form.typed),
    )


@router.post("")
def submit_run(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[Choices], Depends(submitted(LaunchForm))],
) -> Response:
    run = None
    if not form.errors:
        values, chosen = form.values, _choices_of(form.typed)
        with form.attempt():
            try:
                run = launching.launch_run(
                    db,
                    project,
                    kind=values.kind,
                    name=values.name,
                    base_model=values.base_model,
                    options=options.typed_options(form.typed),
                    by=person,
                    dataset_id=chosen.dataset_id,
                    pair_dataset_id=chosen.pair_dataset_id,
                    expert_run_id=chosen.expert_run_id,
                    start_run_id=chosen.start_run_id,
                    negative_run_id=chosen.negative_run_id,
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
    base_models.make_base_model(db, project, by=person)
    return RedirectResponse(answer.path("show_launch", project=project.slug), 303)


# One run ------------------------------------------------------------------------------------------


@router.get("/{run_id:int}")
def show_run(
    run_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    step: int | None = None,
    compare: str = "",
    against: str = "",
) -> Response:
    """One run: state, curves, samples, checkpoints, config, log, weights. `compare` names runs whose
    curves are laid over its own, `against` a run that its config is compared with.
    """
    row = reading.get_run_row(db, project, run_id)
    run = row.run
    overlaid = reading.find_overlaid(db, run, compare)
    other = reading.as_id(against)
    with_other = reading.get_run_row(db, project, other) if other is not None else None
    chosen = [*overlaid, *([with_other.run] if with_other is not None else [])]
    return answer.show(
        "runs/run.html",
        fragment="runs/_live.html",
        row=row,
        run=run,
        job=row.job,
        is_live=row.job.state in OPEN_STATES,
        samples=sample_grid(reading.find_samples(db, run), step=step),
        checkpoints=reading.find_checkpoints(db, run),
        config=_yaml(run.config),
        log=reading.read_log(run),
        others=_with(reading.find_others(db, run), chosen),
        overlaid=[each.id for each in overlaid],
        open_runs=reading.find_open(db, project),
        most_overlaid=reading.MOST_OVERLAID,
        other=with_other,
        differences=comparing.compare_runs(row, with_other) if with_other is not None else [],
        as_text=as_text,
        objectives=OBJECTIVES,
        model=base_models.model_name(launching.model_of(run)),
        winning=telling.find_winning(db, run),
        folder=launching.folder_of(run),
        **_examination(telling.examination_of(run)),
    )


def _with(runs: Sequence[Run], chosen: Sequence[Run]) -> list[Run]:
    """Runs to choose from, with those that are chosen already, however old they are."""
    return [*runs, *dict.fromkeys(each for each in chosen if each not in runs)]


def _yaml(config: Json) -> str:
    return yaml.safe_dump(in_order(config), sort_keys=False, allow_unicode=True, width=100)


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
    return access.sample(db, run, file)


@router.get("/{run_id:int}/config.yaml")
def download_config(run: ProjectRun) -> Response:
    """The config, as `python -m worker.training` reads it."""
    headers = {"Content-Disposition": f'attachment; filename="{run.folder}.yaml"'}
    return PlainTextResponse(_yaml(run.config), media_type="text/yaml", headers=headers)


@router.get("/{run_id:int}/adapter.safetensors")
def download_adapter(run: ProjectRun) -> Response:
    return access.adapter(run, zipped=False)


@router.get("/{run_id:int}/adapter.zip")
def download_adapter_folder(run: ProjectRun) -> Response:
    """The weights with their model card."""
    return access.adapter(run, zipped=True)

"""Agent runs: launch one, watch it, see what people made of its proposals."""

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import RedirectResponse, Response

from app.accounts.access import CurrentPerson
from app.agents import again, launching, recording
from app.agents.budgets import Budget
from app.agents.ensembles import ensemble_of, is_quiet
from app.agents.forms import AgentRunForm, BudgetForm
from app.agents.looking_back import look_back
from app.agents.restricting import restriction_of
from app.agents.spending import spending_of
from app.comparisons.comparing import find_comparisons, find_others
from app.criteria import reading
from app.criteria.models import CriteriaVersion
from app.errors import Conflict, Invalid
from app.jobs.models import OPEN_STATES
from app.jobs.queueing import get_job
from app.labels.access import Sight, refuse_hidden
from app.labels.showing import note_told
from app.projects.access import AnnotatorProject, LeadProject
from app.projects.models import Project
from app.trust.keeping import find_agreements
from app.web.answer import Answering
from app.web.dependencies import Db
from app.web.forms import Form, submitted
from method.agents import AGENTS, ENSEMBLE
from taxonomy.asking_again import WHY

router = APIRouter(include_in_schema=False, prefix="/projects/{project}/agent")
PAGE = 20
IMAGES = 100


def _list(
    db: Db,
    answer: Answering,
    project: Project,
    *,
    before: int | None = None,
    form: Form[AgentRunForm] | None = None,
    status: int = 200,
) -> Response:
    found = launching.find_agent_runs(db, project, before=before, limit=PAGE + 1)
    rows = found[:PAGE]
    return answer.show(
        "agents/list.html",
        fragment="agents/_runs.html",
        status=status,
        rows=rows,
        next=rows[-1].run.id if len(found) > PAGE else None,
        is_live=before is None and any(row.job and row.job.state in OPEN_STATES for row in rows),
        agents=(agents := launching.available_agents()),
        default=launching.default_agent(project),
        takes_money=any(each.needs for each in agents.values()),
        version=(version := reading.current_version(db, project)),
        earlier=again.find_to_go_on_from(db, project, version),
        form=form or Form(),
    )


@router.get("")
def show_agent_runs(
    db: Db, answer: Answering, project: AnnotatorProject, before: int | None = None
) -> Response:
    """Agent runs, newest first, and the form for another."""
    return _list(db, answer, project, before=before)


@router.post("")
def submit_agent_run(
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[AgentRunForm], Depends(submitted(AgentRunForm))],
) -> Response:
    """Launch an agent over all images."""
    if not form.errors:
        with form.attempt():
            asked = form.values
            budget = Budget(asked.budget_tokens, asked.budget_cost)
            launching.launch_agent_run(
                db,
                project,
                agent=asked.agent,
                by=person,
                budget=budget,
                quiet=asked.quiet and asked.agent != ENSEMBLE,
                runs=asked.run_ids if asked.agent == ENSEMBLE else (),
                at_least=asked.at_least / 100
                if asked.at_least and asked.agent == ENSEMBLE
                else None,
            )
    if form.errors:
        return _list(db, answer, project, form=form, status=422)
    return RedirectResponse(answer.path("show_agent_runs", project=project.slug), 303)


@router.get("/{run_id}")
def show_agent_run(
    run_id: int, db: Db, answer: Answering, project: AnnotatorProject, sight: Sight, after: int = 0
) -> Response:
    """One agent run: what it proposed by attribute, and what people decided. Which images got no labels
    is hidden with the suggestions.
    """
    run = launching.get_agent_run(db, project.id, run_id)
    nodes = {node.id: node for node in reading.nodes_by_key(db, project).values()}
    counts: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for node_id, polarity, state, number in launching.find_outcome(db, run):
        counts[node_id, polarity][state] = number
    rows = [
        (nodes[node_id], polarity, states, sum(states.values()))
        for (node_id, polarity), states in counts.items()
    ]
    problems = recording.find_problems(db, run, after=after, limit=101) if sight else []
    job = get_job(db, project, run.job_id) if run.job_id else None
    return answer.show(
        "agents/run.html",
        run=run,
        spending=spending_of(run, job),
        suggestions=sight,
        is_live=job is not None and job.state in OPEN_STATES,
        version=db.get_one(CriteriaVersion, run.version_id),
        later=recording.later_versions(run),
        ensemble=(ensemble := ensemble_of(run)),
        agreements=[(nodes[each.node_id], each) for each in find_agreements(db, run)]
        if ensemble
        else [],
        is_quiet=is_quiet(run),
        restriction=(restriction := restriction_of(run)),
        asked=[node for node in nodes.values() if restriction and node.id in restriction.pairs],
        others=find_others(db, run),
        comparisons=find_comparisons(db, run),
        may_go_on=again.may_go_on_from(db, run, reading.current_version(db, project)),
        job=job,
        rows=sorted(rows, key=lambda row: -row[3]),
        problems=problems[:100],
        next=problems[99][1].id if len(problems) > 100 else None,
    )


@router.get("/{run_id}/state")
def show_agent_run_state(
    run_id: int, db: Db, answer: Answering, project: AnnotatorProject
) -> Response:
    """How far a run is and what it has taken, as a part of its page."""
    run = launching.get_agent_run(db, project.id, run_id)
    job = get_job(db, project, run.job_id) if run.job_id else None
    return answer.show(
        "agents/_state.html",
        run=run,
        job=job,
        spending=spending_of(run, job),
        is_live=job is not None and job.state in OPEN_STATES,
    )


@router.get("/{run_id}/images", dependencies=[Depends(refuse_hidden)])
def show_run_images(
    run_id: int, db: Db, answer: Answering, project: AnnotatorProject, after: int = 0
) -> Response:
    """What a run did with each image, and what that took."""
    run = launching.get_agent_run(db, project.id, run_id)
    found = recording.find_looked_at(db, run, after=after, limit=IMAGES + 1)
    return answer.show(
        "agents/images.html",
        run=run,
        rows=found[:IMAGES],
        next=found[IMAGES - 1][1].id if len(found) > IMAGES else None,
    )


@router.get("/{run_id}/images/{image_id}", dependencies=[Depends(refuse_hidden)])
def show_run_image(
    run_id: int,
    image_id: int,
    db: Db,
    answer: Answering,
    project: AnnotatorProject,
    person: CurrentPerson,
) -> Response:
    """How an agent looked at one image, step by step. Whoever looks is blind for this image no more."""
    run = launching.get_agent_run(db, project.id, run_id)
    back = look_back(db, project, run, image_id)
    note_told(db, [image_id], person)
    return answer.show("agents/image.html", run=run, back=back)


@router.post("/{run_id}/default")
def submit_default_agent(run_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """Have the agent of a run label where nobody names one."""
    run = launching.get_agent_run(db, project.id, run_id)
    launching.choose_default_agent(db, project, run.agent)
    return RedirectResponse(answer.path("show_agent_runs", project=project.slug), 303)


def _show_again(
    db: Db,
    answer: Answering,
    project: Project,
    run_id: int,
    *,
    form: Form[BudgetForm] | None = None,
    status: int = 200,
) -> Response:
    run = launching.get_agent_run(db, project.id, run_id)
    try:
        found, nothing = again.foresee_again(db, project, run_id), None
    except (Invalid, Conflict) as error:
        found, nothing = None, error
    return answer.show(
        "agents/again.html",
        status=status,
        run=run,
        again=found,
        nothing=nothing,
        why=WHY,
        takes_money=bool((facts := AGENTS.get(run.agent)) and facts.needs),
        form=form or Form(),
    )


@router.get("/{run_id}/again")
def show_again(run_id: int, db: Db, answer: Answering, project: LeadProject) -> Response:
    """What labelling again what changed since a run would ask and take, and the button for it."""
    return _show_again(db, answer, project, run_id)


@router.post("/{run_id}/again")
def submit_again(
    run_id: int,
    db: Db,
    answer: Answering,
    project: LeadProject,
    person: CurrentPerson,
    form: Annotated[Form[BudgetForm], Depends(submitted(BudgetForm))],
) -> Response:
    """Launch a run over what changed."""
    if not form.errors:
        with form.attempt():
            budget = Budget(form.values.budget_tokens, form.values.budget_cost)
            again.launch_again(db, project, run_id, by=person, budget=budget)
    if form.errors:
        return _show_again(db, answer, project, run_id, form=form, status=422)
    return RedirectResponse(answer.path("show_agent_runs", project=project.slug), 303)

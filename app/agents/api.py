"""Agent runs as JSON."""

from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from app.accounts.access import CurrentPerson
from app.agents import launching, recording
from app.agents.again import foresee_again, launch_again
from app.agents.budgets import Budget, budget_of, set_budget
from app.agents.ensembles import ensemble_of, is_quiet
from app.agents.models import AgentRun
from app.agents.restricting import restriction_of
from app.agents.schemas import (
    AgainOut,
    AgentRunIn,
    AgentRunOut,
    AgentRunsOut,
    BudgetIn,
    DefaultAgent,
    LaterVersionOut,
    OutcomeOut,
    OutcomesOut,
    RestrictedOut,
    RunImageOut,
    RunImagesOut,
    TakenOut,
    TouchedPairOut,
)
from app.agents.spending import spending_of
from app.criteria import reading
from app.database import LARGEST_KEY
from app.labels.access import refuse_hidden
from app.labels.models import STATES
from app.projects.access import AnnotatorProject, LeadProject
from app.web.dependencies import Db

router = APIRouter(prefix="/api/v1/projects/{project}/agent-runs", tags=["agent runs"])


def _out(row: launching.RunRow) -> AgentRunOut:
    spending = spending_of(row.run, row.job)
    return AgentRunOut(
        id=row.run.id,
        job_id=row.run.job_id,
        state=row.job.state if row.job else "succeeded",
        agent=row.run.agent,
        agent_version=row.run.agent_version,
        criteria_version=row.version.number,
        later_versions=[
            LaterVersionOut.model_validate(each) for each in recording.later_versions(row.run)
        ],
        restricted=_restricted(row.run),
        quiet=is_quiet(row.run),
        runs=list(ensemble.runs) if (ensemble := ensemble_of(row.run)) else None,
        at_least=ensemble.at_least if ensemble else None,
        images=row.run.images,
        labels=row.run.labels,
        problems=row.run.problems,
        dropped=row.run.dropped,
        repaired=row.run.repaired,
        requests=row.run.requests,
        tokens_in=row.run.tokens_in,
        tokens_out=row.run.tokens_out,
        cost=spending.cost,
        expected_tokens=spending.expected_tokens,
        expected_cost=spending.expected_cost,
        prompt_hash=row.run.prompt_hash,
        seed=row.run.seed,
        budget_tokens=budget_of(row.run).tokens,
        budget_cost=budget_of(row.run).cost,
        created_at=row.run.created_at,
    )


def _restricted(run: AgentRun) -> RestrictedOut | None:
    found = restriction_of(run)
    if found is None:
        return None
    return RestrictedOut(run=found.run, since=found.since, pairs=len(found.pairs))


@router.get("")
def api_list_agent_runs(
    db: Db,
    project: AnnotatorProject,
    before: int | None = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> AgentRunsOut:
    """Agent runs, newest first."""
    found = launching.find_agent_runs(db, project, before=before, limit=limit + 1)
    items = [_out(row) for row in found[:limit]]
    return AgentRunsOut(items=items, next=items[-1].id if len(found) > limit else None)


@router.post("", status_code=202)
def api_launch_agent_run(
    body: AgentRunIn, db: Db, project: LeadProject, person: CurrentPerson
) -> AgentRunOut:
    """Have an agent label all images; the job tells how far it is."""
    budget = Budget(body.budget_tokens, body.budget_cost)
    run = launching.launch_agent_run(
        db,
        project,
        agent=body.agent,
        by=person,
        budget=budget,
        quiet=body.quiet,
        runs=body.runs,
        at_least=body.at_least,
    )
    return _out(launching.find_agent_runs(db, project, before=run.id + 1, limit=1)[0])


@router.get("/default")
def api_get_default_agent(project: AnnotatorProject) -> DefaultAgent:
    """The agent that labels where nobody names one."""
    return DefaultAgent(agent=launching.default_agent(project))


@router.put("/default")
def api_choose_default_agent(body: DefaultAgent, db: Db, project: LeadProject) -> DefaultAgent:
    """Have another agent label where nobody names one."""
    launching.choose_default_agent(db, project, body.agent)
    return DefaultAgent(agent=launching.default_agent(project))


@router.patch("/{run_id}")
def api_set_budget(run_id: int, body: BudgetIn, db: Db, project: LeadProject) -> AgentRunOut:
    """Give a run another budget. One that stopped for want of it goes on when its job is resumed."""
    run = launching.get_agent_run(db, project.id, run_id)
    set_budget(db, run, Budget(body.budget_tokens, body.budget_cost))
    return _out(launching.find_agent_runs(db, project, before=run.id + 1, limit=1)[0])


@router.get("/{run_id}")
def api_get_agent_run(run_id: int, db: Db, project: AnnotatorProject) -> AgentRunOut:
    """One agent run."""
    run = launching.get_agent_run(db, project.id, run_id)
    return _out(launching.find_agent_runs(db, project, before=run.id + 1, limit=1)[0])


@router.get("/{run_id}/again")
def api_foresee_again(run_id: int, db: Db, project: LeadProject) -> AgainOut:
    """What labelling again what the criteria changed since a run would ask, of how many images, at what cost."""
    again = foresee_again(db, project, run_id)
    expected = again.expected
    return AgainOut(
        run=again.run.id,
        agent=again.run.agent,
        since=again.since.number,
        criteria_version=again.version.number,
        pairs=[
            TouchedPairOut(
                key=each.pair.key,
                positive=each.pair.positive.name,
                negative=each.pair.negative.name,
                why=each.why,
                images=each.images,
            )
            for each in again.pairs
        ],
        images=expected.images,
        share=expected.share,
        least=TakenOut.model_validate(expected.least),
        most=TakenOut.model_validate(expected.most),
    )


@router.post("/{run_id}/again", status_code=202)
def api_launch_again(
    run_id: int, body: BudgetIn, db: Db, project: LeadProject, person: CurrentPerson
) -> AgentRunOut:
    """Have the agent of a run look for what the criteria changed since, in the images that this concerns."""
    budget = Budget(body.budget_tokens, body.budget_cost)
    run = launch_again(db, project, run_id, by=person, budget=budget)
    return _out(launching.find_agent_runs(db, project, before=run.id + 1, limit=1)[0])


@router.get("/{run_id}/images", dependencies=[Depends(refuse_hidden)])
def api_list_run_images(
    run_id: int,
    db: Db,
    project: AnnotatorProject,
    after: Annotated[int, Query(ge=0, le=LARGEST_KEY)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> RunImagesOut:
    """What an agent run did with each image, and what that took. 403 for a browser that hides suggestions."""
    run = launching.get_agent_run(db, project.id, run_id)
    found = recording.find_run_images(db, run, after=after, limit=limit + 1)
    items = [RunImageOut.model_validate(each) for each in found[:limit]]
    return RunImagesOut(items=items, next=items[-1].image_id if len(found) > limit else None)


@router.get("/{run_id}/outcome")
def api_get_outcome(run_id: int, db: Db, project: AnnotatorProject) -> OutcomesOut:
    """What people made of a run's proposals, by attribute."""
    run = launching.get_agent_run(db, project.id, run_id)
    keys = {node.id: node.key for node in reading.nodes_by_key(db, project).values()}
    counts: dict[tuple[int, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys(STATES, 0))
    for node_id, polarity, state, number in launching.find_outcome(db, run):
        counts[node_id, polarity][state] = number
    return OutcomesOut(
        items=[
            OutcomeOut.model_validate({"key": keys[node_id], "polarity": polarity, **states})
            for (node_id, polarity), states in sorted(counts.items())
        ]
    )

"""Agent runs: asking for one, looking at what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, cast, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.budgets import Budget
from app.agents.ensembles import plan_ensemble
from app.agents.models import AgentRun
from app.criteria.models import CriteriaVersion
from app.criteria.reading import current_version
from app.database import Json
from app.errors import Invalid, NotFound
from app.images.inclusion import in_use
from app.images.models import Image
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.labels.models import AgentRunCount
from app.projects.founding import set_default_agent
from app.projects.models import Project
from app.settings import settings
from method.agents import AGENTS, DEFAULT_AGENT, ENSEMBLE, AgentFacts


@dataclass(frozen=True)
class RunRow:
    """An agent run with its job and the criteria version it works under."""

    run: AgentRun
    job: Job | None
    version: CriteriaVersion


def launch_agent_run(
    db: Session,
    project: Project,
    *,
    agent: str | None,
    by: Person | None,
    budget: Budget = Budget(),  # noqa: B008 - frozen
    quiet: bool = False,
    runs: Sequence[int] = (),
    at_least: float | None = None,
) -> AgentRun:
    """Ask for one pass of an agent (None: the project's own) over all images of the project, within a budget.

    What a `quiet` run says is kept for ensembles and proposed to nobody. An ensemble is made of `runs`, and `at_least`
    is the share of what it proposes that is to be right (`ensembles.plan_ensemble`).

    Raises Invalid where the agent is not known, nothing is published, there are no images, and as `plan_ensemble` does.
    """
    agent = agent or default_agent(project)
    _refuse_missing(agent)
    version = get_version_to_label_under(db, project)
    some = select(Image.id).where(Image.project_id == project.id, in_use()).limit(1)
    if db.scalar(some) is None:
        raise Invalid(
            "There are no images to label yet.", field="images", hint="Import some first."
        )
    config = budget.as_config() | ({"quiet": True} if quiet else {})
    if agent == ENSEMBLE:
        config = plan_ensemble(db, project, runs, at_least).as_config()
    elif runs or at_least is not None:
        raise Invalid(
            f"“{agent}” looks at the images itself; only the ensemble is made of other runs.",
            field="runs" if runs else "at_least",
        )
    return start_run(db, project, agent=agent, version=version, config=config, by=by)


def default_agent(project: Project) -> str:
    """The agent that labels where nobody names one: the one that was chosen, where it is still set up here."""
    chosen = project.default_agent
    return chosen if chosen is not None and chosen in available_agents() else DEFAULT_AGENT


def choose_default_agent(db: Session, project: Project, agent: str) -> None:
    """Have an agent label where nobody names one. Raises Invalid where there is no such agent here, and for the
    ensemble: which runs it is made of is said each time.
    """
    _refuse_missing(agent)
    if agent == ENSEMBLE:
        raise Invalid(
            "The ensemble is made of runs that are chosen each time, so it cannot be the default.",
            field="agent",
        )
    set_default_agent(db, project, agent)


def get_version_to_label_under(db: Session, project: Project) -> CriteriaVersion:
    """The version in force. Raises Invalid where there is none."""
    version = current_version(db, project)
    if version is None:
        raise Invalid(
            "The criteria have not been published yet.",
            field="criteria",
            hint="Publish a version first: labels name the version they were made under.",
        )
    return version


def start_run(
    db: Session,
    project: Project,
    *,
    agent: str,
    version: CriteriaVersion,
    config: Json,
    by: Person | None,
) -> AgentRun:
    """Write a run and its job. Raises Invalid where the agent is not known or not set up."""
    _refuse_missing(agent)
    run = AgentRun(
        project_id=project.id,
        agent=agent,
        agent_version="",
        version_id=version.id,
        config=config,
        created_by=by.id if by else None,
    )
    db.add(run)
    db.flush()
    job = submit(db, project=project, kind="agent_run", spec={"agent_run_id": run.id}, by=by)
    run.job_id = job.id
    db.flush()
    return run


def available_agents() -> dict[str, AgentFacts]:
    """The agents that this installation has, by name."""
    return {
        name: facts
        for name, facts in AGENTS.items()
        if not facts.needs or getattr(settings(), facts.needs)
    }


def _refuse_missing(agent: str) -> None:
    there = available_agents()
    if agent in there:
        return
    if agent in AGENTS:
        raise Invalid(
            f"The agent “{agent}” is not set up here.",
            field="agent",
            hint=f"The operator sets MORELLI_{AGENTS[agent].needs.upper()}.",
        )
    raise Invalid(f"There is no agent “{agent}”; there is {', '.join(there)}.", field="agent")


def get_agent_run(db: Session, project_id: int, run_id: int) -> AgentRun:
    """An agent run of this project. Raises NotFound."""
    run = db.scalar(
        select(AgentRun).where(AgentRun.id == run_id, AgentRun.project_id == project_id)
    )
    if run is None:
        raise NotFound("There is no such agent run in this project.")
    return run


def find_agent_runs(
    db: Session, project: Project, *, before: int | None = None, limit: int = 20
) -> Sequence[RunRow]:
    """Agent runs, newest first, a page at a time."""
    query = (
        select(AgentRun, Job, CriteriaVersion)
        .join(CriteriaVersion, CriteriaVersion.id == AgentRun.version_id)
        .outerjoin(Job, Job.id == AgentRun.job_id)
        .where(AgentRun.project_id == project.id)
        .order_by(AgentRun.id.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(AgentRun.id < before)
    rows = db.execute(query).all()
    return [RunRow(run, job, version) for run, job, version in rows]


def find_outcome(db: Session, run: AgentRun) -> Sequence[tuple[int, str, str, int]]:
    """What became of a run's labels: (node id, polarity, state, count)."""
    return db.execute(
        select(
            AgentRunCount.node_id,
            AgentRunCount.polarity,
            AgentRunCount.state,
            cast(func.sum(AgentRunCount.num), BigInteger),
        )
        .where(AgentRunCount.agent_run_id == run.id)
        .group_by(AgentRunCount.node_id, AgentRunCount.polarity, AgentRunCount.state)
        .having(func.sum(AgentRunCount.num) > 0)
    ).all()

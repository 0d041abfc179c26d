"""Runs that are made of other runs: which ones, and how sure a label has to be for them to propose it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, select
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.agents.restricting import restriction_of
from app.database import Json
from app.errors import Invalid
from app.jobs.models import Job
from app.projects.models import Project
from method.agents import ENSEMBLE

MOST_MEMBERS = 6
NEWEST_LOOKED_AT = 200


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The runs that it is made of, in the order of their ids, and the share of what it proposes that is to be right, in
    [0, 1]; None: what they agree on, and of the rest what is more likely right than not.
    """

    runs: tuple[int, ...]
    at_least: float | None = None

    def as_config(self) -> Json:
        """As the run keeps it."""
        return {"ensemble": {"runs": list(self.runs), "at_least": self.at_least}}


def ensemble_of(run: AgentRun) -> Ensemble | None:
    """What a run is made of; None where an agent looked itself."""
    said = run.config.get("ensemble")
    return Ensemble(tuple(said["runs"]), said["at_least"]) if said else None


def is_quiet(run: AgentRun) -> bool:
    """Whether what a run says is kept for ensembles and proposed to nobody."""
    return bool(run.config.get("quiet"))


def plan_ensemble(
    db: Session, project: Project, runs: Sequence[int], at_least: float | None
) -> Ensemble:
    """An ensemble of these runs; of none: of the newest of each agent.

    Raises Invalid for a run that is not there, has not come to its end or did not keep what it said, for too many, and
    for a share that is none.
    """
    if at_least is not None and not 0 < at_least < 1:
        raise Invalid(
            "The share that is to be right lies between 0 and 1, without both ends.",
            field="at_least",
        )
    wanted = sorted(set(runs))
    members = [each.id for each in find_members(db, project, wanted or None)]
    if missing := sorted(set(wanted) - set(members)):
        raise Invalid(
            f"Run {missing[0]} cannot be part of an ensemble.",
            field="runs",
            hint="An ensemble is made of runs of this project that came to their end and kept what they said of each"
            " image, as runs since this release do.",
        )
    if not members:
        raise Invalid(
            "There is no run yet that an ensemble could be made of.",
            field="runs",
            hint="Have an agent label the images first, or label them again: runs of earlier releases did not keep what"
            " they said.",
        )
    if len(members) > MOST_MEMBERS:
        raise Invalid(f"An ensemble is made of at most {MOST_MEMBERS} runs.", field="runs")
    return Ensemble(tuple(members), at_least)


def find_members(
    db: Session, project: Project, runs: Sequence[int] | None = None
) -> list[AgentRun]:
    """Of these runs those that an ensemble can be made of; of None the newest of each agent with the runs that
    labelled again what the criteria changed since. By id.
    """
    able = (
        select(AgentRun)
        .outerjoin(Job, Job.id == AgentRun.job_id)
        .where(AgentRun.project_id == project.id, _said_something())
    )
    if runs is not None:
        return list(db.scalars(able.where(AgentRun.id.in_(runs)).order_by(AgentRun.id)))
    newest = db.scalars(able.order_by(AgentRun.id.desc()).limit(NEWEST_LOOKED_AT)).all()
    whole: dict[str, AgentRun] = {}
    for run in newest:
        if restriction_of(run) is None:
            whole.setdefault(run.agent, run)
    roots = {run.id for run in whole.values()}
    again = [run for run in newest if (to := restriction_of(run)) and to.root in roots]
    # Where there are too many of those, the newest.
    members = [*whole.values(), *again][:MOST_MEMBERS]
    return sorted(members, key=lambda run: run.id)


def _said_something() -> ColumnElement[bool]:
    return and_(Job.state == "succeeded", AgentRun.decides.is_not(None), AgentRun.agent != ENSEMBLE)

"""Agent runs: asking for one, keeping how far it is, looking at what it did."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun, AgentRunProblem
from app.criteria.models import CriteriaVersion
from app.criteria.reading import current_version
from app.errors import Invalid, NotFound
from app.images.inclusion import in_use, left_out
from app.images.models import Image
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.labels.models import Label
from app.projects.models import Project

AGENTS = {
    "measured": "Decides by image statistics, offline; keeps measure, value and threshold.",
}


@dataclass(frozen=True)
class RunRow:
    """An agent run with its job and the criteria version it works under."""

    run: AgentRun
    job: Job | None
    version: CriteriaVersion
    images: int
    labels: int
    problems: int


def launch_agent_run(db: Session, project: Project, *, agent: str, by: Person | None) -> AgentRun:
    """Ask for one pass of an agent over all images of the project.

    Raises Invalid where the agent is not known, nothing is published, or there are no images.
    """
    if agent not in AGENTS:
        raise Invalid(f"There is no agent “{agent}”; there is {', '.join(AGENTS)}.", field="agent")
    version = current_version(db, project)
    if version is None:
        raise Invalid(
            "The criteria have not been published yet.",
            field="criteria",
            hint="Publish a version first: labels name the version they were made under.",
        )
    some = select(Image.id).where(Image.project_id == project.id, in_use()).limit(1)
    if db.scalar(some) is None:
        raise Invalid(
            "There are no images to label yet.", field="images", hint="Import some first."
        )
    run = AgentRun(
        project_id=project.id,
        agent=agent,
        agent_version="",
        version_id=version.id,
        created_by=by.id if by else None,
    )
    db.add(run)
    db.flush()
    job = submit(db, project=project, kind="agent_run", spec={"agent_run_id": run.id}, by=by)
    run.job_id = job.id
    db.flush()
    return run


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
    """Agent runs, newest first, a page at a time, with counts of what each left."""
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
    ids = [run.id for run, _, _ in rows]
    problems = dict(
        db.execute(
            select(AgentRunProblem.agent_run_id, func.count())
            .where(AgentRunProblem.agent_run_id.in_(ids))
            .group_by(AgentRunProblem.agent_run_id)
        ).all()
    )
    return [
        RunRow(run, job, version, run.images, run.labels, problems.get(run.id, 0))
        for run, job, version in rows
    ]


def find_problems(
    db: Session, run: AgentRun, *, after: int = 0, limit: int = 100
) -> Sequence[tuple[AgentRunProblem, Image]]:
    """Images that a run could not label, with the reason, by image."""
    return db.execute(
        select(AgentRunProblem, Image)
        .join(Image, Image.id == AgentRunProblem.image_id)
        .where(AgentRunProblem.agent_run_id == run.id, AgentRunProblem.image_id > after)
        .order_by(AgentRunProblem.image_id)
        .limit(limit)
    ).all()


def count_problems(db: Session, run: AgentRun) -> int:
    """How many images a run could not label."""
    query = select(func.count()).where(AgentRunProblem.agent_run_id == run.id)
    return db.scalar(query) or 0


def find_outcome(db: Session, run: AgentRun) -> Sequence[tuple[int, str, str, int]]:
    """What became of a run's labels: (node id, polarity, state, count)."""
    return db.execute(
        select(Label.node_id, Label.polarity, Label.state, func.count())
        .where(Label.agent_run_id == run.id, Label.image_id.not_in(left_out(run.project_id)))
        .group_by(Label.node_id, Label.polarity, Label.state)
    ).all()


def find_waiting_images(db: Session, run: AgentRun, *, limit: int) -> tuple[Sequence[Image], int]:
    """The next images of a run, by id, and how many are left altogether."""
    waiting = select(Image).where(
        Image.project_id == run.project_id,
        in_use(),
        Image.id > int(run.config.get("after", 0)),
    )
    left = db.scalar(select(func.count()).select_from(waiting.subquery())) or 0
    return db.scalars(waiting.order_by(Image.id).limit(limit)).all(), left


@dataclass(frozen=True)
class LaterVersion:
    """A criteria version that was published while a run was under way, and the first image that the
    run looked at under it.
    """

    version_id: int
    number: int
    first_image: int


def later_versions(run: AgentRun) -> list[LaterVersion]:
    """The versions that a run went on under, oldest first."""
    return [LaterVersion(**each) for each in run.config.get("later_versions", [])]


def record_batch(
    db: Session,
    run: AgentRun,
    *,
    under: LaterVersion,
    agent_version: str,
    after: int,
    images: int,
    labels: int,
    problems: dict[int, str],
) -> None:
    """Keep how far a run is, in the transaction that holds its labels: a killed run goes on there."""
    run.agent_version = agent_version
    later = later_versions(run)
    if under.version_id not in (run.version_id, *(each.version_id for each in later)):
        later.append(under)
    went_on = {"later_versions": [asdict(each) for each in later]} if later else {}
    run.config = {**run.config, "after": after, **went_on}
    run.images += images
    run.labels += labels
    if problems:
        rows = [
            {"agent_run_id": run.id, "image_id": image_id, "reason": reason[:500]}
            for image_id, reason in problems.items()
        ]
        db.execute(insert(AgentRunProblem).values(rows).on_conflict_do_nothing())

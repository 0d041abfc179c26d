"""Keeps what was learned of agents, and where the runs of an ensemble agree and differ."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.ensembles import Ensemble, plan_ensemble
from app.agents.models import AgentRun
from app.criteria.models import Node
from app.images.inclusion import in_use
from app.images.models import Image
from app.jobs.models import Job
from app.jobs.queueing import submit
from app.projects.models import Project
from app.trust.models import COUNTS, AgentAgreement, AgentDifference, AgentTrust
from app.trust.schemas import ReportOut

KIND = "agent_trust"


@dataclass(frozen=True, slots=True)
class Decided:
    """What an ensemble made of one attribute of an image that one of its runs says applies: a sign for each run, how
    likely it holds, whether it was proposed, and whether the runs agree, differ, or one alone can tell.
    """

    image_id: int
    node_id: int
    polarity: str
    said: str
    probability: float | None
    is_proposed: bool

    @property
    def standing(self) -> str:
        """`agreed`, `differed` or `alone`."""
        if "-" in self.said:
            return "differed"
        return "agreed" if self.said.count("+") > 1 else "alone"


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference with its image and attribute pair."""

    row: AgentDifference
    image: Image
    node: Node
    runs: tuple[int, ...]

    @property
    def says(self) -> list[int]:
        """The runs that say so."""
        return [run for run, sign in zip(self.runs, self.row.said, strict=True) if sign == "+"]

    @property
    def does_not(self) -> list[int]:
        """The runs that looked for it and do not say so."""
        return [run for run, sign in zip(self.runs, self.row.said, strict=True) if sign == "-"]


# What was learned ------------------------------------------------------------------------------


def ask_to_learn(db: Session, project: Project, *, by: Person | None) -> Job:
    """Ask for learning anew from all blind answers. Raises Invalid where no agent has said anything yet."""
    # The same rule as for an ensemble of the newest runs: what is learned is what that one would go by.
    plan_ensemble(db, project, (), None)
    return submit(db, project=project, kind=KIND, spec={}, by=by)


def keep_trust(
    db: Session, project: Project, report: ReportOut, *, agent_run_id: int | None
) -> AgentTrust:
    """Keep what was learned, in the place of what was learned for the same run before."""
    if agent_run_id is not None:
        db.execute(delete(AgentTrust).where(AgentTrust.agent_run_id == agent_run_id))
    row = AgentTrust(
        project_id=project.id,
        agent_run_id=agent_run_id,
        labels=report.labels,
        report=report.model_dump(mode="json"),
    )
    db.add(row)
    db.flush()
    return row


def find_trust(
    db: Session, project: Project, *, agent_run_id: int | None = None
) -> AgentTrust | None:
    """What was learned last, or for one ensemble; None where nothing was."""
    query = select(AgentTrust).where(AgentTrust.project_id == project.id)
    if agent_run_id is not None:
        query = query.where(AgentTrust.agent_run_id == agent_run_id)
    return db.scalar(query.order_by(AgentTrust.id.desc()).limit(1))


# Where they differ -----------------------------------------------------------------------------


def record_decided(db: Session, run: AgentRun, decided: Sequence[Decided]) -> None:
    """Keep where the runs of an ensemble differ and count where they agree, in the transaction that holds its labels."""
    differing = [
        {
            "agent_run_id": run.id,
            "image_id": each.image_id,
            "node_id": each.node_id,
            "polarity": each.polarity,
            "said": each.said,
            "probability": each.probability,
            "is_proposed": each.is_proposed,
        }
        for each in decided
        if each.standing == "differed"
    ]
    if differing:
        db.execute(insert(AgentDifference), differing)
    _count(db, run, decided)


def _count(db: Session, run: AgentRun, decided: Iterable[Decided]) -> None:
    counts: dict[tuple[int, str], Counter[str]] = {}
    for each in decided:
        of_side = counts.setdefault((each.node_id, each.polarity), Counter())
        of_side[each.standing] += 1
        of_side[f"{each.standing}_proposed"] += each.is_proposed
    if not counts:
        return
    statement = insert(AgentAgreement)
    added = {name: AgentAgreement.__table__.c[name] + statement.excluded[name] for name in COUNTS}
    db.execute(
        statement.on_conflict_do_update(
            index_elements=["agent_run_id", "node_id", "polarity"], set_=added
        ),
        [
            {"agent_run_id": run.id, "node_id": node_id, "polarity": polarity}
            | {name: of_side[name] for name in COUNTS}
            for (node_id, polarity), of_side in sorted(counts.items())
        ],
    )


def find_agreements(db: Session, run: AgentRun) -> Sequence[AgentAgreement]:
    """Where the runs of an ensemble agree and differ, by attribute, where they differ most first."""
    return db.scalars(
        select(AgentAgreement)
        .where(AgentAgreement.agent_run_id == run.id)
        .order_by(
            AgentAgreement.differed.desc(), AgentAgreement.node_id, AgentAgreement.polarity.desc()
        )
    ).all()


Place = tuple[int, int, str]
START: Place = (0, 0, "")


def find_differences(
    db: Session,
    run: AgentRun,
    ensemble: Ensemble,
    *,
    side: tuple[int, str] | None = None,
    after: Place = START,
    limit: int = 50,
) -> list[Difference]:
    """Where the runs of an ensemble differ, by image, from behind a place (image, node, polarity) on; of one attribute
    or of all. Images that are not in use are left out.
    """
    key = (AgentDifference.image_id, AgentDifference.node_id, AgentDifference.polarity)
    query = (
        select(AgentDifference, Image, Node)
        .join(Image, Image.id == AgentDifference.image_id)
        .join(Node, Node.id == AgentDifference.node_id)
        .where(AgentDifference.agent_run_id == run.id, tuple_(*key) > after, in_use())
        .order_by(*key)
        .limit(limit)
    )
    if side is not None:
        query = query.where(AgentDifference.node_id == side[0], AgentDifference.polarity == side[1])
    return [Difference(row, image, node, ensemble.runs) for row, image, node in db.execute(query)]


def forget_differences(db: Session, image: Image) -> None:
    """Forget where runs differ about an image that is erased; the counts stay."""
    db.execute(delete(AgentDifference).where(AgentDifference.image_id == image.id))

"""Asking for a comparison of two runs, keeping what came of it, and reading it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import delete, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, undefer

from app.accounts.models import Person
from app.agents.launching import get_agent_run
from app.agents.models import AgentRun
from app.comparisons.counting import Stretch, add_up, draw_sample, find_looked
from app.comparisons.figures import Figures, judge, overall_figures, read_figures, side_figures
from app.comparisons.ground import Ground, find_ground, newest_version
from app.comparisons.models import AgentComparison, AgentComparisonSide
from app.comparisons.verdicts import find_verdicts
from app.criteria.models import CriteriaVersion, Node
from app.errors import Conflict, Invalid, NotFound
from app.images.inclusion import in_use
from app.images.models import Image
from app.jobs.models import OPEN_STATES, Job
from app.jobs.queueing import submit
from app.projects.models import Project

JOB = "agent_comparison"
SAMPLE = 2_000
"""Images that the agreement over all attributes is computed from."""


@dataclass(frozen=True, slots=True)
class SideRow:
    """One side of a comparison with the nodes it stands for."""

    side: AgentComparisonSide
    nodes: tuple[Node, ...]
    figures: Figures


@dataclass(frozen=True, slots=True)
class Compared:
    """Two runs with their jobs' and versions' words, and the sides that they are compared by, in tree order.

    `figures` and `sides` are empty until the comparison has been computed once.
    """

    comparison: AgentComparison
    first: AgentRun
    second: AgentRun
    job: Job
    versions: dict[int, int]
    figures: Figures | None
    sides: tuple[SideRow, ...]

    def asked_by(self, who: str) -> list[SideRow]:
        """The sides that both looked for, or one run alone."""
        return [each for each in self.sides if each.side.asked_by == who]

    def total(self, name: str) -> int:
        """The sum of `in_both`, `only_first` or `only_second` over what both looked for."""
        return sum(int(getattr(each.side, name)) for each in self.asked_by("both"))


def ask_comparison(
    db: Session, project: Project, first_id: int, second_id: int, *, by: Person | None
) -> AgentComparison:
    """Have two runs compared, or compared anew; one that is under way is left alone.

    Raises NotFound for a run of another project, Invalid for one and the same, Conflict where one is not over.
    """
    if first_id == second_id:
        raise Invalid("A run cannot be compared with itself.", field="other")
    first, second = (get_agent_run(db, project.id, each) for each in (first_id, second_id))
    for run in (first, second):
        if run.job_id is not None and db.get_one(Job, run.job_id).state in OPEN_STATES:
            raise Conflict(
                f"Run {run.id} has not come to its end.", hint=f"Wait for job {run.job_id}."
            )
    # Two who ask at once wait for each other here.
    db.execute(select(AgentRun.id).where(AgentRun.id == first_id).with_for_update())
    known = _find(db, first_id, second_id)
    if known is not None and db.get_one(Job, known.job_id).state in OPEN_STATES:
        return known
    job = submit(
        db, project=project, kind=JOB, spec={"first": first_id, "second": second_id}, by=by
    )
    values = {
        "project_id": project.id,
        "first_id": first_id,
        "second_id": second_id,
        "version_id": newest_version(db, first, second).id,
        "job_id": job.id,
        "created_by": by.id if by else None,
    }
    again = {"job_id": job.id}
    db.execute(
        insert(AgentComparison)
        .values(values)
        .on_conflict_do_update(index_elements=["first_id", "second_id"], set_=again)
    )
    db.expire_all()
    found = _find(db, first_id, second_id)
    assert found is not None
    return found


def _find(db: Session, first_id: int, second_id: int) -> AgentComparison | None:
    return db.scalar(
        select(AgentComparison).where(
            AgentComparison.first_id == first_id, AgentComparison.second_id == second_id
        )
    )


def find_comparisons(db: Session, run: AgentRun, *, limit: int = 20) -> Sequence[AgentComparison]:
    """The comparisons of a run with others, the newest first."""
    return db.scalars(
        select(AgentComparison)
        .where(or_(AgentComparison.first_id == run.id, AgentComparison.second_id == run.id))
        .order_by(AgentComparison.id.desc())
        .limit(limit)
    ).all()


def find_others(db: Session, run: AgentRun, *, limit: int = 50) -> Sequence[AgentRun]:
    """The newest other runs, to compare one with."""
    return db.scalars(
        select(AgentRun)
        .where(AgentRun.project_id == run.project_id, AgentRun.id != run.id)
        .order_by(AgentRun.id.desc())
        .limit(limit)
    ).all()


def get_compared(db: Session, project: Project, first_id: int, second_id: int) -> Compared:
    """What a comparison came to. Raises NotFound for runs of another project, and where nobody asked for it."""
    first, second = (get_agent_run(db, project.id, each) for each in (first_id, second_id))
    comparison = _find(db, first.id, second.id)
    if comparison is None:
        raise NotFound(
            f"Runs {first.id} and {second.id} have not been compared yet.",
            hint="A lead has them compared on the page of a run, or with POST to this address.",
        )
    sides = db.scalars(
        select(AgentComparisonSide)
        .where(AgentComparisonSide.comparison_id == comparison.id)
        .order_by(AgentComparisonSide.place)
    ).all()
    nodes = _nodes(db, [node_id for each in sides for node_id in each.node_ids])
    versions = db.execute(
        select(CriteriaVersion.id, CriteriaVersion.number).where(
            CriteriaVersion.id.in_([first.version_id, second.version_id, comparison.version_id])
        )
    )
    return Compared(
        comparison,
        first,
        second,
        db.get_one(Job, comparison.job_id),
        {version_id: number for version_id, number in versions},  # noqa: C416 - rows, not pairs
        read_figures(comparison.figures) if comparison.figures else None,
        tuple(_row(each, nodes) for each in sides),
    )


@dataclass(frozen=True, slots=True)
class SideImages:
    """Images in use that one run alone found a side in, of up to `counting.EXAMPLES` that were drawn evenly."""

    row: SideRow
    lost: list[Image]
    gained: list[Image]

    @property
    def image_ids(self) -> list[int]:
        """All of them."""
        return [image.id for image in (*self.lost, *self.gained)]


def get_side_images(db: Session, compared: Compared, place: int) -> SideImages:
    """The images of one side of a comparison. Raises NotFound."""
    side = db.scalar(
        select(AgentComparisonSide)
        .options(undefer(AgentComparisonSide.lost), undefer(AgentComparisonSide.gained))
        .where(
            AgentComparisonSide.comparison_id == compared.comparison.id,
            AgentComparisonSide.place == place,
        )
    )
    if side is None:
        raise NotFound("There is no such attribute in this comparison.")
    wanted = select(Image).where(Image.id.in_([*side.lost, *side.gained]), in_use())
    found = {image.id: image for image in db.scalars(wanted)}
    lost, gained = (
        [found[each] for each in ids if each in found] for ids in (side.lost, side.gained)
    )
    return SideImages(_row(side, _nodes(db, side.node_ids)), lost, gained)


def _nodes(db: Session, node_ids: Sequence[int]) -> dict[int, Node]:
    found = db.scalars(select(Node).where(Node.id.in_(set(node_ids))))
    return {node.id: node for node in found}


def _row(side: AgentComparisonSide, nodes: dict[int, Node]) -> SideRow:
    own = tuple(nodes[each] for each in side.node_ids)
    return SideRow(side, own, read_figures(side.figures))


# What the worker does ------------------------------------------------------------------------


def open_ground(db: Session, project_id: int, first_id: int, second_id: int) -> Ground:
    """What the two runs of a comparison are compared by."""
    runs = (get_agent_run(db, project_id, each) for each in (first_id, second_id))
    return find_ground(db, *runs)


@dataclass(frozen=True, slots=True)
class Measured:
    """What a comparison came to: how many images both looked at, the figures over all, and a row for each side."""

    images: int
    figures: Figures
    rows: list[dict[str, Any]]


def measure_comparison(
    db: Session, project_id: int, ground: Ground, stretches: Sequence[Stretch]
) -> Measured:
    """The figures of what was counted; writes nothing, and may take a while."""
    images = sum(each.images for each in stretches)
    counts = add_up(db, stretches, len(ground.sides))
    verdicts = find_verdicts(db, project_id, ground.places)
    judged = judge(verdicts, find_looked(db, ground, sorted({e.image_id for e in verdicts})))
    both = [place for place, side in enumerate(ground.sides) if side.asked_by == "both"]
    sample = find_looked(db, ground, draw_sample(db, ground, SAMPLE))
    rows = [
        {
            "place": place,
            "node_ids": list(side.node_ids),
            "polarity": side.polarity,
            "asked_by": side.asked_by,
            "in_both": counted.both,
            "only_first": counted.only_first,
            "only_second": counted.only_second,
            "figures": side_figures(images, counted, judged.at(judged.places == place)).as_json(),
            "lost": list(counted.lost),
            "gained": list(counted.gained),
        }
        for place, (side, counted) in enumerate(zip(ground.sides, counts, strict=True))
    ]
    return Measured(images, overall_figures(sample, both, judged), rows)


def keep_comparison(db: Session, ground: Ground, measured: Measured) -> None:
    """Keep what a comparison came to in the place of what was there."""
    comparison = _find(db, ground.first_id, ground.second_id)
    assert comparison is not None, "a comparison is asked for before it is made"
    own = AgentComparisonSide.comparison_id == comparison.id
    db.execute(delete(AgentComparisonSide).where(own))
    if measured.rows:
        rows = [{"comparison_id": comparison.id} | each for each in measured.rows]
        db.execute(insert(AgentComparisonSide), rows)
    comparison.version_id = ground.version.id
    comparison.images = measured.images
    comparison.figures = measured.figures.as_json()
    comparison.made_at = datetime.now(UTC)
    db.flush()

"""Labelling again what a publication of the criteria touched, and nothing else: what that would take, and asking for it.

A run goes on from an earlier one. Of the images which that one labelled, those that the change concerns are asked
about the pairs that it touched; a run that goes on from such a run looks at the images of the first one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.budgets import Budget
from app.agents.launching import get_agent_run, get_version_to_label_under, start_run
from app.agents.models import AgentRun, AgentRunImage
from app.agents.recording import later_versions
from app.agents.restricting import Asked, Restriction, restriction_of
from app.criteria.models import CriteriaVersion
from app.criteria.reading import nodes_by_key, version_criteria
from app.errors import Conflict, Invalid
from app.images.inclusion import left_out
from app.jobs.models import OPEN_STATES, Job
from app.labels.models import Label
from app.projects.models import Project
from method.agents import ENSEMBLE
from taxonomy.asking_again import TouchedPair, Why, touched_pairs
from taxonomy.tree import Pair


@dataclass(frozen=True, slots=True)
class Taken:
    """Requests to a model's server, tokens, and cost by the operator's prices."""

    requests: int
    tokens_in: int
    tokens_out: int
    cost: float


@dataclass(frozen=True, slots=True)
class Expected:
    """What labelling again would take: `images` at most, and the rest by what the first run took for each image.

    `least` is that, scaled by the share of the pairs that is asked; `most` is that of a whole look at each image. A
    picture is shown with every question, however few pairs that is about, so the truth lies between.
    """

    images: int
    share: float
    least: Taken
    most: Taken


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """A pair that is asked again, why, and of at most how many images."""

    pair: Pair
    why: Why
    images: int


@dataclass(frozen=True, slots=True)
class Again:
    """What a run would be restricted to that goes on from `run`, under which versions, and what it would take."""

    run: AgentRun
    since: CriteriaVersion
    version: CriteriaVersion
    pairs: tuple[AskedAgain, ...]
    restriction: Restriction
    expected: Expected


def foresee_again(db: Session, project: Project, run_id: int) -> Again:
    """What labelling again from a run would ask, of how many images, and what it would take.

    Raises NotFound for another project's run, Conflict where it has not come to its end, and Invalid where the criteria
    ask nothing that it was not asked.
    """
    run = get_agent_run(db, project.id, run_id)
    version = get_version_to_label_under(db, project)
    _refuse_what_cannot(db, run)
    earlier = restriction_of(run)
    root = get_agent_run(db, project.id, earlier.root) if earlier else run
    since = db.get_one(CriteriaVersion, run.version_id)
    criteria = version_criteria(version)
    pairs = touched_pairs(version_criteria(since), criteria)
    if not pairs:
        raise Invalid(
            f"Criteria version {version.number} asks nothing that run {run.id} was not asked.",
            field="criteria",
            hint="What was renamed, described, moved or merged keeps its labels.",
        )
    ids = {key: node.id for key, node in nodes_by_key(db, project).items()}
    restriction = Restriction(run.id, root.id, since.number, _grouped(pairs, ids))
    numbers = _count_images(db, root, version, restriction)
    size = len(version_criteria(db.get_one(CriteriaVersion, root.version_id)).active_pairs())
    images = {
        pair: number
        for each, number in zip(restriction.asked, numbers[:-1], strict=True)
        for pair in each.pairs
    }
    asked = (AskedAgain(criteria.pair(e.key), e.why, images[ids[e.key]]) for e in pairs)
    expected = _expect(root, restriction, numbers, size)
    return Again(run, since, version, tuple(asked), restriction, expected)


def launch_again(
    db: Session,
    project: Project,
    run_id: int,
    *,
    by: Person | None,
    budget: Budget = Budget(),  # noqa: B008 - frozen
) -> AgentRun:
    """Ask for a run that looks for what `foresee_again` tells, with the agent of the earlier one. Raises as that does,
    and Invalid where that agent is not set up any more or no image is concerned.
    """
    again = foresee_again(db, project, run_id)
    if not again.expected.images:
        raise Invalid(
            f"No image is concerned of those that run {again.restriction.root} labelled.",
            field="images",
        )
    config = budget.as_config() | again.restriction.as_config()
    # What was kept for ensembles alone stays so.
    config |= {name: kept for name, kept in again.run.config.items() if name == "quiet"}
    agent = again.run.agent
    return start_run(db, project, agent=agent, version=again.version, config=config, by=by)


def find_to_go_on_from(
    db: Session, project: Project, version: CriteriaVersion | None
) -> AgentRun | None:
    """The newest run of an agent here, where it has come to its end and another version is in force by now."""
    own = select(AgentRun).where(
        AgentRun.project_id == project.id, AgentRun.job_id.is_not(None), AgentRun.agent != ENSEMBLE
    )
    run = db.scalar(own.order_by(AgentRun.id.desc()).limit(1))
    return run if run is not None and may_go_on_from(db, run, version) else None


def may_go_on_from(db: Session, run: AgentRun, version: CriteriaVersion | None) -> bool:
    """Whether it can be asked what changed since a run."""
    is_older = version is not None and version.id != run.version_id
    looks = run.job_id is not None and run.agent != ENSEMBLE
    return is_older and looks and not _is_unfinished(db, run)


def _refuse_what_cannot(db: Session, run: AgentRun) -> None:
    if run.agent == ENSEMBLE:
        raise Conflict(
            f"Run {run.id} is an ensemble, which looks at no image itself.",
            hint="Label again with the runs that it is made of, then launch another ensemble.",
        )
    if run.job_id is None:
        raise Conflict(
            f"Run {run.id} was made elsewhere and came in with a file; no agent here can go on from it."
        )
    if _is_unfinished(db, run):
        raise Conflict(
            f"Run {run.id} has not come to its end.",
            hint=f"Wait for job {run.job_id}, or resume it.",
        )


def _is_unfinished(db: Session, run: AgentRun) -> bool:
    job = db.get_one(Job, run.job_id)
    # One that was to label again and broke off leaves images that nobody asked.
    is_whole = restriction_of(run) is None or job.state == "succeeded"
    return job.state in OPEN_STATES or not is_whole


def _grouped(pairs: Sequence[TouchedPair], ids: dict[str, int]) -> tuple[Asked, ...]:
    """Pairs by the images that they are asked of; what was split, one by one."""
    groups: dict[tuple[str, ...], list[TouchedPair]] = {}
    for each in pairs:
        own = (each.key,) if each.why == "split" else each.needed
        groups.setdefault((each.why, *own), []).append(each)
    return tuple(
        Asked(some[0].why, tuple(ids[each.key] for each in some), some[0].needed)
        for some in groups.values()
    )


# How many images, and what they take ---------------------------------------------------------


def _count_images(
    db: Session, root: AgentRun, version: CriteriaVersion, restriction: Restriction
) -> list[int]:
    """How many images each group of pairs is asked of, and at last how many in all; from kept counts where all are."""
    split = [each for each in restriction.asked if each.why == "split"]
    numbers = _count_labelled(db, root, version, split)
    in_all = 0 if len(split) == len(restriction.asked) else _count_all(db, root, version)
    found = [numbers[each.pairs[0]] if each in split else in_all for each in restriction.asked]
    return [*found, in_all or numbers[None]]


def _count_labelled(
    db: Session, root: AgentRun, version: CriteriaVersion, split: Sequence[Asked]
) -> dict[int | None, int]:
    """Images of a run with labels of each of these pairs, and under None with one of any."""
    pairs = [pair for each in split for pair in each.pairs]
    if not pairs:
        return {None: 0}
    rows = db.execute(
        select(Label.node_id, func.count(Label.image_id.distinct()))
        .join(AgentRunImage, AgentRunImage.image_id == Label.image_id)
        .where(
            Label.node_id.in_(pairs),
            Label.image_id.not_in(left_out(root.project_id)),
            *_looked_at_before(root, version),
        )
        .group_by(func.rollup(Label.node_id))
    ).all()
    return dict.fromkeys((*pairs, None), 0) | {row[0]: row[1] for row in rows}


def _count_all(db: Session, root: AgentRun, version: CriteriaVersion) -> int:
    own = select(func.count()).select_from(AgentRunImage)
    if later_versions(root):
        in_use = AgentRunImage.image_id.not_in(left_out(root.project_id))
        return db.scalar(own.where(*_looked_at_before(root, version), in_use)) or 0
    aside = own.where(
        AgentRunImage.agent_run_id == root.id,
        AgentRunImage.state == "labelled",
        AgentRunImage.image_id.in_(left_out(root.project_id)),
    )
    return root.images - root.problems - (db.scalar(aside) or 0)


def _looked_at_before(root: AgentRun, version: CriteriaVersion) -> list[ColumnElement[bool]]:
    return [
        AgentRunImage.agent_run_id == root.id,
        AgentRunImage.state == "labelled",
        AgentRunImage.version_id != version.id,
    ]


def _expect(
    root: AgentRun, restriction: Restriction, numbers: Sequence[int], num_pairs: int
) -> Expected:
    """What so many images (of each group, and in all) take, where the first run asked so many pairs of each."""
    images = numbers[-1]
    asked = sum(
        len(each.pairs) * number
        for each, number in zip(restriction.asked, numbers[:-1], strict=True)
    )
    share = min(1.0, asked / (images * num_pairs)) if images and num_pairs else 0.0
    least, most = _taken(root, images * share), _taken(root, images)
    # No image is asked about in less than one question.
    least = replace(least, requests=min(most.requests, max(least.requests, images)))
    return Expected(images, share, least, most)


def _taken(root: AgentRun, images: float) -> Taken:
    each = images / root.images if root.images else 0.0
    numbers = (root.requests, root.tokens_in, root.tokens_out)
    requests, tokens_in, tokens_out = (round(number * each) for number in numbers)
    return Taken(requests, tokens_in, tokens_out, float(root.cost) * each)

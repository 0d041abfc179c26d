"""Draws the sample of an audit and freezes it.

What is audited is what the agent annotated, whatever people decided about it later: accuracy is
actual occurrences / occurrences in annotations (paper S8, Eq. S23), and leaving out what a person has
already rejected would flatter the agent.

The order of the draw: images are sorted by SHA-256 of "<seed>:<SHA-256 of the image file>", and the
first ones are taken. The same seed over the same images therefore gives the same sample on any machine,
and the draw looks at nothing but the seed and the file.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import (
    ARRAY,
    BigInteger,
    FromClause,
    Select,
    Subquery,
    any_,
    func,
    insert,
    literal,
    select,
)
from sqlalchemy.orm import Session, defer

from app.accounts.models import Person
from app.agents.models import AgentRun, AgentRunImage
from app.audits.access import instrument
from app.audits.decoys import MOST_PERCENT, by_image, draw_decoys
from app.audits.models import Audit, AuditItem
from app.audits.practising import choose_practice
from app.criteria.freezing import find_needs
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import current_version, version_criteria
from app.errors import Conflict, Invalid, NotFound
from app.images.applicability import applies, find_not_applicable, needs_of
from app.images.inclusion import left_out
from app.images.models import Image
from app.labels.models import ImageTally, Label, LabelEvent
from app.participants.notices import tidy_notice, write_notice
from app.projects.models import Project
from method.saved_texts import one_line
from taxonomy.tree import Criteria

MOST_IMAGES = 1_000
MOST_LABELS = 1_000
MOST_COUNTED = 2 * MOST_IMAGES
"""Images that are looked at to say how many there are to draw from."""
MOST_SEED = 2**53 - 1  # every whole number up to here survives JSON in any program
NAME_LENGTH = 120
BATCH = 5_000


# An image of the sample: its id and its file's SHA-256.
_Drawn = tuple[int, str]


@dataclass(frozen=True, slots=True)
class AuditedRun:
    """An agent run that an audit can draw from."""

    id: int
    agent: str
    agent_version: str
    labels: int
    version_number: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a sample is drawn from: a criteria version, its pairs in use and what they need, and an agent's
    labels.
    """

    version_id: int
    criteria: Criteria
    keys: dict[int, str]
    needs: FromClause
    annotated: Subquery


def find_audited_runs(db: Session, project: Project, *, limit: int = 50) -> list[AuditedRun]:
    """The project's agent runs that made labels, newest first."""
    rows = db.execute(
        select(
            AgentRun.id,
            AgentRun.agent,
            AgentRun.agent_version,
            AgentRun.labels,
            CriteriaVersion.number,
            AgentRun.created_at,
        )
        .join(CriteriaVersion, CriteriaVersion.id == AgentRun.version_id)
        .where(AgentRun.project_id == project.id, AgentRun.labels > 0)
        .order_by(AgentRun.id.desc())
        .limit(limit)
    )
    return [AuditedRun(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class Population:
    """How many images a sample could be drawn from; with `is_more` at least so many."""

    images: int
    is_more: bool


def population(
    db: Session, project: Project, *, min_labels: int, agent_run: int | None
) -> Population:
    """How many images have at least `min_labels` labels of the agent run (None: of any run); beyond what any
    sample needs not all are looked at.

    Raises NotFound for a run of another project, Conflict where nothing is published yet.
    """
    frame = _get_frame(db, project, agent_run)
    _refuse_min_labels(min_labels)
    candidates = db.scalars(_candidates(project, agent_run, min_labels).limit(MOST_COUNTED + 1))
    ids = list(candidates)
    return Population(len(_eligible(db, frame, ids, min_labels)), len(ids) > MOST_COUNTED)


def create_audit(
    db: Session,
    project: Project,
    *,
    name: str,
    seed: int,
    sample_size: int,
    min_labels: int,
    agent_run: int | None,
    notice: str,
    by: Person | None,
    decoy_percent: int = 0,
) -> Audit:
    """Draw a random sample of images and freeze what the agent said about them as items.

    Of an image every label of the agent run becomes an item (None: of any agent run), whether
    people have confirmed or rejected it since or not. Item ids rise by image and within an image in
    tree order. The criteria version is the run's, or the current one where all runs are audited;
    labels of pairs that are retired in it, or do not apply to their images under it, are left out.
    `decoy_percent` of all questions are decoys.

    Raises Invalid with the field for values that make no sense and where there are too few images,
    NotFound for a run of another project, Conflict where nothing is published yet.
    """
    name, notice = one_line(name), tidy_notice(notice)
    _refuse_nonsense(name=name, seed=seed, sample_size=sample_size, decoy_percent=decoy_percent)
    _refuse_min_labels(min_labels)
    frame = _get_frame(db, project, agent_run)
    candidates = _candidates(project, agent_run, min_labels)
    images = _draw(db, frame, candidates, seed=seed, sample_size=sample_size, min_labels=min_labels)
    if len(images) < sample_size:
        raise Invalid(
            f"Only {len(images)} images have {min_labels} or more labels of this agent.",
            field="sample_size",
            hint="Ask for fewer images, or for fewer labels per image.",
        )
    audit = Audit(
        project_id=project.id,
        name=name,
        seed=seed,
        sample_size=sample_size,
        min_labels=min_labels,
        decoy_percent=decoy_percent,
        agent_run_id=agent_run,
        version_id=frame.version_id,
        created_by=by.id if by else None,
    )
    db.add(audit)
    db.flush()
    write_notice(db, instrument(audit), notice, by=by)
    _freeze_items(db, audit, frame, images)
    sample = [image_id for image_id, _ in images]
    choose_practice(db, audit, nodes=frame.keys, needs=frame.needs, sample=sample)
    return audit


def _refuse_nonsense(*, name: str, seed: int, sample_size: int, decoy_percent: int) -> None:
    if not 1 <= len(name) <= NAME_LENGTH:
        raise Invalid(f"Please give a name of up to {NAME_LENGTH} characters.", field="name")
    if not 0 <= seed <= MOST_SEED:
        raise Invalid(f"A seed is a whole number from 0 to {MOST_SEED}.", field="seed")
    if not 1 <= sample_size <= MOST_IMAGES:
        raise Invalid(f"A sample has 1 to {MOST_IMAGES} images.", field="sample_size")
    if not 0 <= decoy_percent <= MOST_PERCENT:
        raise Invalid(
            f"Decoys are 0 to {MOST_PERCENT} percent of the questions.", field="decoy_percent"
        )


def _refuse_min_labels(min_labels: int) -> None:
    if not 1 <= min_labels <= MOST_LABELS:
        raise Invalid(f"Ask for 1 to {MOST_LABELS} labels per image.", field="min_labels")


def _get_frame(db: Session, project: Project, run_id: int | None) -> _Frame:
    version = _get_version(db, project, run_id)
    criteria = version_criteria(version)
    in_use = {pair.key for pair in criteria.active_pairs()}
    keys: dict[int, str] = {}
    unused: list[int] = []
    for node_id, key in db.execute(
        select(Node.id, Node.key).where(Node.project_id == project.id, Node.kind == "pair")
    ):
        if key in in_use:
            keys[node_id] = key
        else:
            unused.append(node_id)
    needs = needs_of(find_needs(db, project, criteria))
    annotated = _annotated(project, run_id, unused, needs)
    return _Frame(version.id, criteria, keys, needs, annotated)


def _get_version(db: Session, project: Project, run_id: int | None) -> CriteriaVersion:
    if run_id is None:
        version = current_version(db, project)
        if version is None:
            raise Conflict(
                "The criteria are not published yet, so there are no labels to audit.",
                hint="Publish a first version, run the agent, then audit what it found.",
            )
        return version
    found: CriteriaVersion | None = db.scalar(
        select(CriteriaVersion)
        .join(AgentRun, AgentRun.version_id == CriteriaVersion.id)
        .where(AgentRun.id == run_id, AgentRun.project_id == project.id)
        .options(defer(CriteriaVersion.content))
    )
    if found is None:
        raise NotFound(f"There is no agent run {run_id} in this project.")
    return found


def _annotated(
    project: Project, run_id: int | None, unused: Sequence[int], needs: FromClause
) -> Subquery:
    """The agent's statements about pairs in use that apply to their images: (image_id, node_id, polarity)."""
    # Few pairs are out of use, so naming those is cheaper than naming the others.
    if run_id is None:
        return (
            select(Label.image_id, Label.node_id, Label.polarity)
            .where(
                Label.project_id == project.id,
                Label.source == "agent",
                Label.node_id.not_in(unused),
                Label.image_id.not_in(left_out(project.id)),
                applies(Label.image_id, Label.node_id, needs),
            )
            .subquery("annotated")
        )
    # A label names only the last run that stated it; the events keep what each run stated, once each.
    return (
        select(LabelEvent.image_id, LabelEvent.node_id, LabelEvent.polarity)
        .where(
            LabelEvent.agent_run_id == run_id,
            LabelEvent.node_id.is_not(None),
            LabelEvent.node_id.not_in(unused),
            LabelEvent.image_id.not_in(left_out(project.id)),
            applies(LabelEvent.image_id, LabelEvent.node_id, needs),
        )
        .subquery("annotated")
    )


def _candidates(project: Project, run_id: int | None, min_labels: int) -> Select[int]:
    """The ids of all images that may have so many labels of the agent run (None: of any), by kept counts;
    those that have them under the version are `_eligible`.
    """
    if run_id is None:
        return select(ImageTally.image_id).where(
            ImageTally.project_id == project.id, ImageTally.of_agents >= min_labels
        )
    return select(AgentRunImage.image_id).where(
        AgentRunImage.agent_run_id == run_id, AgentRunImage.proposed >= min_labels
    )


def _eligible(db: Session, frame: _Frame, image_ids: Sequence[int], min_labels: int) -> set[int]:
    """Those of some images that have at least `min_labels` labels of the agent."""
    image_id = frame.annotated.c.image_id
    return set(
        db.scalars(
            select(image_id)
            .where(image_id == any_(literal(list(image_ids), ARRAY(BigInteger))))
            .group_by(image_id)
            .having(func.count() >= min_labels)
        )
    )


def _draw(
    db: Session,
    frame: _Frame,
    candidates: Select[int],
    *,
    seed: int,
    sample_size: int,
    min_labels: int,
) -> list[_Drawn]:
    """The first eligible images in the order of the draw, as many as asked for or as there are."""
    order = func.sha256(func.convert_to(literal(f"{seed}:").concat(Image.sha256), "UTF8"))
    ordered = select(Image.id, Image.sha256).where(Image.id.in_(candidates)).order_by(order)
    looked_at = 2 * sample_size
    while True:
        rows = [(image_id, sha256) for image_id, sha256 in db.execute(ordered.limit(looked_at))]
        eligible = _eligible(db, frame, [image_id for image_id, _ in rows], min_labels)
        drawn = [each for each in rows if each[0] in eligible]
        if len(drawn) >= sample_size or len(rows) < looked_at:
            return drawn[:sample_size]
        looked_at *= 8


def _freeze_items(db: Session, audit: Audit, frame: _Frame, images: Sequence[_Drawn]) -> None:
    position = {image_id: number for number, (image_id, _) in enumerate(images, start=1)}
    place = {pair.key: number for number, pair in enumerate(frame.criteria.pairs())}
    asked = [(*each, kind) for kind, rows in _questions(db, audit, frame, images) for each in rows]
    items = [
        {
            "audit_id": audit.id,
            "image_id": image_id,
            "image_position": position[image_id],
            "node_id": node_id,
            "polarity": polarity,
            "root_key": frame.criteria.root_of(frame.keys[node_id]).key,
            "kind": kind,
        }
        for image_id, node_id, polarity, kind in sorted(
            asked,
            key=lambda each: (
                position[each[0]],
                place[frame.keys[each[1]]],
                # A positive attribute stands before the negative one of its pair.
                each[2] != "positive",
            ),
        )
    ]
    for start in range(0, len(items), BATCH):
        db.execute(insert(AuditItem), items[start : start + BATCH])


def _questions(
    db: Session, audit: Audit, frame: _Frame, images: Sequence[_Drawn]
) -> list[tuple[str, list[tuple[int, int, str]]]]:
    """What is asked, by kind: rows of image, node and polarity."""
    ids = [image_id for image_id, _ in images]
    annotated = select(frame.annotated).where(frame.annotated.c.image_id.in_(ids))
    labels = [(row.image_id, row.node_id, row.polarity) for row in db.execute(annotated)]
    if not audit.decoy_percent:
        return [("label", labels)]
    held = db.execute(
        select(Label.image_id, Label.node_id, Label.polarity).where(
            Label.image_id.in_(ids), Label.state != "rejected"
        )
    )
    given = by_image(labels)
    decoys = draw_decoys(
        seed=audit.seed,
        percent=audit.decoy_percent,
        images=images,
        given=given,
        held=by_image(held),
        not_applicable=find_not_applicable(db, ids, frame.needs),
        names={
            (node_id, polarity): f"{frame.keys[node_id]}:{polarity}"
            for each in given.values()
            for node_id, polarity in each
        },
    )
    return [("label", labels), ("decoy", [(image, *attribute) for image, attribute in decoys])]

"""Draws images at random, without looking at all of them.

Images are walked through in the order of the SHA-256 of their files, from a place that the seed chooses and around to it
again. That order has nothing to do with what they show, so the first ones that have enough labels are a simple random
sample, and the same seed over the same images draws the same sample on any machine. The walk goes along an index and
ends where the sample is full: a million images take no longer than a thousand. Where few images have enough labels,
which the kept counts tell, only those are walked through.

Stratified, every stratum (root dimension, polarity or agent run) gets its share of the images: an image is taken where
it has a label in the stratum that lacks most. What a rare stratum lacks after a long walk is filled up with others.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import FromClause, Subquery, func, literal, select, true
from sqlalchemy.orm import Session, defer

from app.agents.models import AgentRun
from app.criteria.freezing import find_needs
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import current_version, version_criteria
from app.errors import Conflict, NotFound
from app.images.applicability import applies, needs_of
from app.images.counting import count_kinds
from app.images.inclusion import in_use, is_there, left_out
from app.images.models import Image
from app.labels.models import ImageTally, Label, LabelEvent
from app.projects.models import Project
from taxonomy.tree import Criteria

FIRST_CHUNK = 500
CHUNK = 2_000
LOOKED_AT = 2_000
"""So many images tell how many there are to draw from; of more it is told about."""
WALKED_PER_IMAGE = 200
"""How far a stratified draw walks for each image of the sample before it takes what there is."""


# An image of the sample: its id and its file's SHA-256.
Drawn = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Frame:
    """What a sample is drawn from: a criteria version, its pairs in use and what they need, and the labels of an
    agent run or (None) of all.
    """

    run_id: int | None
    version_id: int
    criteria: Criteria
    keys: dict[int, str]
    needs: FromClause
    annotated: Subquery


@dataclass(frozen=True, slots=True)
class Population:
    """How many images there are to draw from, where there are too many to look at each about how many; and how many
    labels one of them has in the mean (None of none).
    """

    images: int
    is_about: bool
    labels_each: float | None


@dataclass(frozen=True, slots=True)
class Strata:
    """What a sample is stratified by: the names of the strata, and in which one a label is, by node, polarity, run."""

    by: str
    names: tuple[object, ...]
    roots: Mapping[int, str]

    def of(self, node_id: int, polarity: str, run_id: int) -> object:
        """The stratum of a label."""
        if self.by == "root":
            return self.roots[node_id]
        return polarity if self.by == "polarity" else run_id


# The frame -------------------------------------------------------------------------------------


def get_frame(db: Session, project: Project, run_id: int | None) -> Frame:
    """What can be drawn of one agent run, or of all. Raises NotFound for a run of another project, Conflict where
    nothing is published yet.
    """
    version = _get_version(db, project, run_id)
    criteria = version_criteria(version)
    in_use_keys = {pair.key for pair in criteria.active_pairs()}
    keys: dict[int, str] = {}
    unused: list[int] = []
    for node_id, key in db.execute(
        select(Node.id, Node.key).where(Node.project_id == project.id, Node.kind == "pair")
    ):
        if key in in_use_keys:
            keys[node_id] = key
        else:
            unused.append(node_id)
    needs = needs_of(find_needs(db, project, criteria))
    annotated = _annotated(project, run_id, unused, needs)
    return Frame(run_id, version.id, criteria, keys, needs, annotated)


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
    """The agent's statements about pairs in use that apply to their images: (image_id, node_id, polarity, run_id)."""
    # Few pairs are out of use, so naming those is cheaper than naming the others.
    if run_id is None:
        return (
            select(
                Label.image_id, Label.node_id, Label.polarity, Label.agent_run_id.label("run_id")
            )
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
        select(
            LabelEvent.image_id,
            LabelEvent.node_id,
            LabelEvent.polarity,
            LabelEvent.agent_run_id.label("run_id"),
        )
        .where(
            LabelEvent.agent_run_id == run_id,
            LabelEvent.node_id.is_not(None),
            LabelEvent.node_id.not_in(unused),
            LabelEvent.image_id.not_in(left_out(project.id)),
            applies(LabelEvent.image_id, LabelEvent.node_id, needs),
        )
        .subquery("annotated")
    )


# Walking ---------------------------------------------------------------------------------------


def walk(
    db: Session, project: Project, seed: int, *, among: Sequence[int] | None = None
) -> Iterator[list[Drawn]]:
    """All images in use, some at a time, in the order of their hashes from the place that the seed chooses; or those
    of them that are `among` these ids.
    """
    size = FIRST_CHUNK
    start = hashlib.sha256(f"audit {seed}".encode()).hexdigest()
    for first, end in ((start, None), ("", start)):
        last, is_first = first, True
        while True:
            rows = db.execute(
                select(Image.id, Image.sha256)
                .where(
                    Image.project_id == project.id,
                    in_use(),
                    is_there(),
                    true() if among is None else Image.id == func.any(list(among)),
                    Image.sha256 >= last if is_first else Image.sha256 > last,
                    true() if end is None else Image.sha256 < end,
                )
                .order_by(Image.sha256)
                .limit(size)
            ).all()
            if not rows:
                break
            yield [(image_id, sha256) for image_id, sha256 in rows]
            last, is_first = rows[-1].sha256, False
            if len(rows) < size:
                break
            size = min(2 * size, CHUNK)


def _find_few(db: Session, project: Project, frame: Frame, min_labels: int) -> Sequence[int] | None:
    """The ids of all images that may have enough labels where those are few, by the counts that are kept, so that
    nobody walks past a million others to find them; else None.
    """
    # What one run stated may be the label of a person or of another run by now, which the counts do not tell.
    if frame.run_id is not None:
        return None
    ids = db.scalars(
        select(ImageTally.image_id)
        .join(Image, Image.id == ImageTally.image_id)
        .where(ImageTally.project_id == project.id, ImageTally.of_agents >= min_labels, in_use())
        .order_by(ImageTally.of_agents.desc())
        .limit(LOOKED_AT + 1)
    ).all()
    return ids if len(ids) <= LOOKED_AT else None


def _of(frame: Frame, ids: Sequence[int]) -> Subquery:
    """The agent's statements about some images."""
    return (
        select(frame.annotated)
        .where(frame.annotated.c.image_id == func.any(list(ids)))
        .subquery("of_some")
    )


def _with_enough(
    db: Session, frame: Frame, images: Sequence[Drawn], min_labels: int
) -> dict[int, int]:
    """By id: how many labels those images have that have enough."""
    of_some = _of(frame, [image_id for image_id, _ in images])
    rows = db.execute(
        select(of_some.c.image_id, func.count())
        .group_by(of_some.c.image_id)
        .having(func.count() >= min_labels)
    )
    return dict(rows.all())


def count_population(db: Session, project: Project, frame: Frame, *, min_labels: int) -> Population:
    """How many images have at least `min_labels` labels of the agent."""
    few = _find_few(db, project, frame, min_labels)
    total = count_kinds(db, project).used if few is None else len(few)
    looked_at = found = labels = 0
    for images in walk(db, project, 0, among=few):
        counts = _with_enough(db, frame, images, min_labels)
        looked_at += len(images)
        found += len(counts)
        labels += sum(counts.values())
        if looked_at >= LOOKED_AT:
            break
    each = labels / found if found else None
    if not total or looked_at >= total:
        return Population(found, is_about=False, labels_each=each)
    return Population(_rounded(total * found / looked_at), is_about=True, labels_each=each)


def _rounded(number: float) -> int:
    """To two digits that count."""
    whole = round(number)
    return round(whole, 2 - len(str(whole))) if whole >= 100 else whole


# Drawing ---------------------------------------------------------------------------------------


def draw(
    db: Session, project: Project, frame: Frame, *, seed: int, sample_size: int, min_labels: int
) -> list[Drawn]:
    """So many images in a random order; fewer where there are no more with enough labels."""
    drawn: list[Drawn] = []
    few = _find_few(db, project, frame, min_labels)
    for images in walk(db, project, seed, among=few):
        enough = _with_enough(db, frame, images, min_labels)
        drawn += [each for each in images if each[0] in enough]
        if len(drawn) >= sample_size:
            break
    return drawn[:sample_size]


def draw_stratified(
    db: Session,
    project: Project,
    frame: Frame,
    strata: Strata,
    *,
    seed: int,
    sample_size: int,
    min_labels: int,
) -> list[Drawn]:
    """The same, every stratum with its share where the walk finds enough."""
    drawn: list[Drawn] = []
    others: list[Drawn] = []
    share = -(-sample_size // max(1, len(strata.names)))
    lacking = Counter(dict.fromkeys(strata.names, share))
    walked = 0
    few = _find_few(db, project, frame, min_labels)
    for images in walk(db, project, seed, among=few):
        walked += len(images)
        held = _strata_of(db, frame, strata, images, min_labels)
        for image in images:
            if image[0] not in held or len(drawn) == sample_size:
                continue
            wanted = max(held[image[0]], key=lambda name: (lacking[name], str(name)), default=None)
            if wanted is not None and lacking[wanted] > 0:
                lacking[wanted] -= 1
                drawn.append(image)
            else:
                others.append(image)
        is_long = walked >= WALKED_PER_IMAGE * sample_size
        if len(drawn) == sample_size or (is_long and len(drawn) + len(others) >= sample_size):
            break
    return (drawn + others)[:sample_size]


def get_strata(frame: Frame, by: str, runs: Iterable[int]) -> Strata:
    """The strata of a frame: root dimensions in use, polarities, or agent runs."""
    roots = {node_id: frame.criteria.root_of(key).key for node_id, key in frame.keys.items()}
    names: Mapping[str, tuple[object, ...]] = {
        "root": tuple(dict.fromkeys(roots.values())),
        "polarity": ("positive", "negative"),
        "run": tuple(runs),
    }
    return Strata(by, names[by], roots)


def _strata_of(
    db: Session, frame: Frame, strata: Strata, images: Sequence[Drawn], min_labels: int
) -> dict[int, set[object]]:
    """Of each image with enough labels: the strata it has a label in."""
    of_some = _of(frame, [image_id for image_id, _ in images])
    rows = db.execute(
        select(
            of_some.c.image_id,
            func.array_agg(of_some.c.node_id),
            func.array_agg(of_some.c.polarity),
            func.array_agg(func.coalesce(of_some.c.run_id, literal(0))),
        )
        .group_by(of_some.c.image_id)
        .having(func.count() >= min_labels)
    )
    return {
        image_id: {strata.of(*each) for each in zip(nodes, polarities, runs, strict=True)}
        for image_id, nodes, polarities, runs in rows
    }

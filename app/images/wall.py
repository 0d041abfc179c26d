"""What the wall offers to narrow it down by, with the counts that are kept beside each choice."""

from dataclasses import dataclass

from sqlalchemy import ARRAY, BigInteger, any_, cast, func, literal, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.models import Node
from app.criteria.reading import title
from app.criteria.snapshots import Snapshot, read_snapshot
from app.images.frozen import Offered, find_offered
from app.images.narrowing import LabelWish, Narrowing, prepare
from app.labels.models import LabelCount
from app.projects.models import Membership, Project

MOST_RUNS = 50
MOST_FIELDS, MOST_VALUES = 50, 100


@dataclass(frozen=True, slots=True)
class Choices:
    """What a wish can name: keys of attributes and branches in tree order, people, the newest agent runs, fields of the
    metadata, the first values of those that are asked for, and the newest datasets.
    """

    nodes: tuple[tuple[str, str], ...]
    people: tuple[tuple[int, str], ...]
    runs: tuple[tuple[int, str], ...]
    fields: tuple[str, ...]
    values: tuple[str, ...]
    datasets: tuple[Offered, ...]


@dataclass(frozen=True, slots=True)
class Facet:
    """The labels of one wish's attribute or branch by side and state, from where it asks and whatever else."""

    wish: LabelWish
    title: str
    numbers: dict[tuple[str, str], int]


def find_choices(
    db: Session, project: Project, narrowing: Narrowing, *, suggestions: bool
) -> Choices:
    """What the labels of a project can be narrowed down by."""
    snapshot = read_snapshot(db, project)
    people = db.execute(
        select(Person.id, Person.name)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.project_id == project.id)
        .order_by(Person.name, Person.id)
    )
    runs = db.execute(
        select(AgentRun.id, AgentRun.agent, AgentRun.created_at)
        .where(AgentRun.project_id == project.id, AgentRun.labels > 0)
        .order_by(AgentRun.id.desc())
        .limit(MOST_RUNS if suggestions else 0)
    )
    return Choices(
        nodes=snapshot.once("choices", lambda: _nodes(snapshot)),
        people=tuple((row.id, row.name) for row in people),
        runs=tuple((row.id, f"{row.agent}, run {row.id}, {row.created_at:%-d %b}") for row in runs),
        fields=tuple(db.scalars(_DIFFERENT_FIELDS, {"project": project.id, "most": MOST_FIELDS})),
        values=find_values(db, project, narrowing.sayings[0].field) if narrowing.sayings else (),
        datasets=find_offered(db, project),
    )


# The next different one is looked up in the index each time: what lies between is not read, be it a million rows.
_DIFFERENT_FIELDS = text(
    """
    WITH RECURSIVE different AS (
        SELECT min(field) AS field, 1 AS place FROM image_value WHERE project_id = :project
        UNION ALL
        SELECT (SELECT min(v.field) FROM image_value AS v WHERE v.project_id = :project AND v.field > d.field), place + 1
        FROM different AS d WHERE d.field IS NOT NULL AND place < :most
    )
    SELECT field FROM different WHERE field IS NOT NULL
    """
)
_DIFFERENT_VALUES = text(
    """
    WITH RECURSIVE different AS (
        SELECT min(lower(value)) AS value, 1 AS place FROM image_value WHERE project_id = :project AND field = :field
        UNION ALL
        SELECT (
            SELECT min(lower(v.value)) FROM image_value AS v
            WHERE v.project_id = :project AND v.field = :field AND lower(v.value) > d.value
        ), place + 1
        FROM different AS d WHERE d.value IS NOT NULL AND place < :most
    )
    SELECT coalesce((
        SELECT v.value FROM image_value AS v
        WHERE v.project_id = :project AND v.field = :field AND lower(v.value) = d.value LIMIT 1
    ), d.value) FROM different AS d WHERE d.value IS NOT NULL
    """
)


def find_values(db: Session, project: Project, field: str) -> tuple[str, ...]:
    """The first different values of a field of the metadata, in whatever letters, in their order."""
    asked = {"project": project.id, "field": field, "most": MOST_VALUES}
    return tuple(db.scalars(_DIFFERENT_VALUES, asked))


def _nodes(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    def words(node: Node) -> str:
        own = title(node) if node.kind == "pair" else f"{title(node)} (all below)"
        above = snapshot.by_id.get(node.parent_id or 0)
        return f"{own} · {title(above)}" if above else own

    return tuple((node.key, words(node)) for node in snapshot.nodes)


def count_facets(
    db: Session, project: Project, narrowing: Narrowing, *, suggestions: bool
) -> list[Facet]:
    """For each wish that names an attribute or branch its labels, as they are kept. Without `suggestions`
    confirmed ones alone.
    """
    prepared = prepare(db, project, narrowing)
    titles = {node.key: title(node) for node in read_snapshot(db, project).nodes}
    return [
        Facet(
            wish,
            titles.get(wish.key, wish.key),
            _numbers(db, project, wish, node_ids, suggestions=suggestions),
        )
        for wish, node_ids in zip(narrowing.labels, prepared.node_ids, strict=True)
        if node_ids is not None
    ]


def _numbers(
    db: Session, project: Project, wish: LabelWish, node_ids: tuple[int, ...], *, suggestions: bool
) -> dict[tuple[str, str], int]:
    number = cast(func.sum(LabelCount.num), BigInteger)
    kept = (
        select(LabelCount.polarity, LabelCount.state, number)
        .where(
            LabelCount.project_id == project.id,
            LabelCount.node_id == any_(literal(list(node_ids), ARRAY(BigInteger))),
            ~LabelCount.lacking,
        )
        .group_by(LabelCount.polarity, LabelCount.state)
    )
    if wish.source:
        kept = kept.where(LabelCount.source == wish.source)
    if not suggestions:
        kept = kept.where(LabelCount.state == "confirmed")
    return {(polarity, state): count for polarity, state, count in db.execute(kept)}

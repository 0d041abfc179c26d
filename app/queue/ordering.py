"""What the queue is ordered by: measured for images as agents propose, and for all that wait by a job."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Integer, Select, cast, delete, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.errors import Conflict, Invalid
from app.images.applicability import applies
from app.jobs.models import OPEN_STATES, Job
from app.jobs.queueing import submit
from app.labels.models import ImageContradiction, Label, LabelCount
from app.projects.models import Project
from app.queue.models import STRATEGIES, AgentRecord, QueueOrder, WaitingImage

BATCH = 500
JOB = "queue_order"


# How the queue is ordered --------------------------------------------------------------------


def set_strategy(db: Session, project: Project, strategy: str, *, by: Person) -> QueueOrder:
    """Choose the order in which the project's queue is handed out. Raises Invalid for an unknown one."""
    if strategy not in STRATEGIES:
        raise Invalid(f"A queue is ordered by {', '.join(STRATEGIES)}.", field="strategy")
    order = _get_order(db, project)
    order.strategy, order.changed_by = strategy, by.id
    order.changed_at = db.scalar(select(func.clock_timestamp()))
    db.flush()
    return order


def find_order(db: Session, project: Project) -> QueueOrder:
    """The order of a project's queue and when it was measured, as it is where nobody chose one."""
    return db.get(QueueOrder, project.id) or QueueOrder(project_id=project.id, strategy="id")


def _get_order(db: Session, project: Project) -> QueueOrder:
    db.execute(
        upsert(QueueOrder).values(project_id=project.id, strategy="id").on_conflict_do_nothing()
    )
    return db.get_one(QueueOrder, project.id, with_for_update=True)


# Measuring -----------------------------------------------------------------------------------


def ask_to_measure(db: Session, project: Project, *, by: Person) -> Job:
    """Have all that waits measured anew by a job. Raises Conflict where one is already at it."""
    _get_order(db, project)
    running = db.scalar(
        select(Job.id).where(
            Job.project_id == project.id, Job.kind == JOB, Job.state.in_(OPEN_STATES)
        )
    )
    if running is not None:
        raise Conflict(f"Job {running} is measuring the queue already.")
    return submit(db, project=project, kind=JOB, spec={"project_id": project.id}, by=by)


def count_records(db: Session, project: Project) -> int:
    """Count anew how often people confirmed and rejected what agents proposed, attribute by attribute; returns
    of how many attributes. What was decided in bulk does not count: nobody looked at each.
    """
    own = select(Node.id).where(Node.project_id == project.id)
    db.execute(delete(AgentRecord).where(AgentRecord.node_id.in_(own)))
    confirmed, rejected = (
        cast(func.coalesce(func.sum(LabelCount.num).filter(LabelCount.state == each), 0), Integer)
        for each in ("confirmed", "rejected")
    )
    counted = (
        select(LabelCount.node_id, LabelCount.polarity, confirmed, rejected)
        .where(
            LabelCount.project_id == project.id,
            LabelCount.source == "agent",
            ~LabelCount.in_bulk,
        )
        .group_by(LabelCount.node_id, LabelCount.polarity)
        .having(confirmed + rejected > 0)
    )
    columns = ["node_id", "polarity", "confirmed", "rejected"]
    made = db.execute(
        insert(AgentRecord).from_select(columns, counted).returning(AgentRecord.node_id)
    )
    return len(made.all())


def find_next_waiting(db: Session, project: Project, after: int) -> Sequence[int]:
    """The next images that wait behind one, by id: as many as are measured in one transaction."""
    return db.scalars(
        select(WaitingImage.image_id)
        .where(WaitingImage.project_id == project.id, WaitingImage.image_id > after)
        .order_by(WaitingImage.image_id)
        .limit(BATCH)
    ).all()


def note_measured(db: Session, project: Project) -> None:
    """Note that all that waits has just been measured."""
    _get_order(db, project).measured_at = db.scalar(select(func.clock_timestamp()))
    db.flush()


def measure(db: Session, project: Project, image_ids: Sequence[int]) -> None:
    """Measure what orders the queue for these images, those of them that wait."""
    held = db.execute(
        select(WaitingImage.image_id, ImageContradiction.number)
        .outerjoin(ImageContradiction, ImageContradiction.image_id == WaitingImage.image_id)
        .where(
            WaitingImage.image_id == func.any(list(image_ids)),
            WaitingImage.project_id == project.id,
        )
        .order_by(WaitingImage.image_id)
        .with_for_update(of=WaitingImage)
    ).all()
    if not held:
        return
    ids = [row.image_id for row in held]
    found = {row.image_id: row for row in db.execute(_sums(ids))}
    sureness, trust = [], []
    for image_id in ids:
        row = found.get(image_id)
        sureness.append(1.0 if row is None or row.sureness is None else row.sureness)
        trust.append(0.0 if row is None else -(row.wrong or 0.0))
    _put(db, ids, sureness, [-(row.number or 0) for row in held], trust)


def _sums(image_ids: Sequence[int]) -> Select[Any]:
    # Before anybody decided, one of four is taken to be wrong.
    seen = func.coalesce(AgentRecord.confirmed + AgentRecord.rejected, 0) + 4.0
    wrong = (func.coalesce(AgentRecord.rejected, 0) + 1.0) / seen
    return (
        select(
            Label.image_id,
            func.avg(func.coalesce(Label.confidence, 0.5)).label("sureness"),
            func.sum(wrong).label("wrong"),
        )
        .outerjoin(
            AgentRecord,
            (AgentRecord.node_id == Label.node_id) & (AgentRecord.polarity == Label.polarity),
        )
        .where(
            Label.image_id == func.any(list(image_ids)),
            Label.state == "proposed",
            Label.source == "agent",
            applies(Label.image_id, Label.node_id),
        )
        .group_by(Label.image_id)
    )


_PUT = text(
    """
    UPDATE waiting_image AS w SET sureness = m.sureness, harmony = m.harmony, trust = m.trust
    FROM unnest(CAST(:ids AS bigint[]), CAST(:sureness AS float8[]), CAST(:harmony AS int[]),
                CAST(:trust AS float8[])) AS m(image_id, sureness, harmony, trust)
    WHERE w.image_id = m.image_id
      AND (w.sureness, w.harmony, w.trust) IS DISTINCT FROM (m.sureness, m.harmony, m.trust)
    """
)


def _put(
    db: Session,
    ids: Sequence[int],
    sureness: Sequence[float],
    harmony: Sequence[int],
    trust: Sequence[float],
) -> None:
    values = {"sureness": list(sureness), "harmony": list(harmony), "trust": list(trust)}
    db.execute(_PUT, {"ids": list(ids), **values})

"""How many contradictions images have, counted by a job after a publication that concerns many labels.

Triggers keep these numbers with every change. A publication that merges or forbids what stands on a hundred thousand
images would have whoever pressed the button wait for all of them, and every annotator with him.
"""

from collections.abc import Collection, Sequence

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.images.models import Image
from app.jobs.queueing import submit
from app.labels.models import LabelCount
from app.projects.models import Project

MANY = 20_000
"""So many labels are counted while a person waits."""
BATCH = 2_000
JOB = "contradictions"


def count_later_where_many(
    db: Session, project: Project, keys: Collection[str], *, by: Person
) -> bool:
    """Where pairs with these keys have many labels: count no contradiction until this transaction ends, and have a job do
    it then. Returns whether that is so.
    """
    concerned = select(func.sum(LabelCount.num)).where(
        LabelCount.project_id == project.id,
        LabelCount.node_id.in_(
            select(Node.id).where(Node.project_id == project.id, Node.key.in_(keys))
        ),
    )
    if (db.scalar(concerned) or 0) <= MANY:
        return False
    db.execute(text("SELECT set_config('morelli.contradictions', 'later', true)"))
    submit(db, project=project, kind=JOB, spec={"project_id": project.id}, by=by)
    return True


def find_next_images(db: Session, project: Project, after: int) -> Sequence[int]:
    """The next images behind one, by id, as many as are counted in one transaction; nobody else changes their labels
    meanwhile.
    """
    return db.scalars(
        select(Image.id)
        .where(Image.project_id == project.id, Image.id > after)
        .order_by(Image.id)
        .limit(BATCH)
        .with_for_update(key_share=True)
    ).all()


def count_contradictions(db: Session, image_ids: Sequence[int]) -> None:
    """Count the contradictions of these images anew."""
    db.execute(
        text("SELECT keep_contradictions(CAST(:images AS bigint[]))"), {"images": list(image_ids)}
    )

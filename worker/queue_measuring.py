"""The handler of jobs of kind `queue_order`: measures what orders the queue, for all that waits. Safe to run again
from the start.
"""

from app.database import Json, unit_of_work
from app.projects.models import Project
from app.queue import ordering
from worker.ledger import Work


def run(work: Work) -> Json:
    """Count what people made of agents' proposals, then measure image by image; returns how many."""
    project_id = int(work.spec["project_id"])
    with work.transaction() as db:
        attributes = ordering.count_records(db, db.get_one(Project, project_id))
    done = after = 0
    while True:
        work.check()
        with unit_of_work() as db:
            image_ids = ordering.find_next_waiting(db, db.get_one(Project, project_id), after)
        if not image_ids:
            break
        with work.transaction() as db:
            ordering.measure(db, db.get_one(Project, project_id), image_ids)
        done, after = done + len(image_ids), image_ids[-1]
        work.report(done=done, total=None, message="images measured")
    with work.transaction() as db:
        ordering.note_measured(db, db.get_one(Project, project_id))
    return {"images": done, "attributes": attributes}

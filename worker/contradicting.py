"""The handler of jobs of kind `contradictions`: counts those of every image of a project after a publication that
concerned many. Safe to run again from the start.
"""

from app.database import Json
from app.labels import contradicting
from app.projects.models import Project
from worker.ledger import Work


def run(work: Work) -> Json:
    """Go through all images in the order of their ids; returns how many."""
    done = after = 0
    while True:
        work.check()
        with work.transaction() as db:
            project = db.get_one(Project, int(work.spec["project_id"]))
            image_ids = contradicting.find_next_images(db, project, after)
            contradicting.count_contradictions(db, image_ids)
        if not image_ids:
            return {"images": done}
        done, after = done + len(image_ids), image_ids[-1]
        work.report(done=done, total=None, message="images counted")

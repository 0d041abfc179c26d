"""The handler of jobs of kind `agent_comparison`: two runs side by side, a stretch of images at a time. Safe to run again
from the start.
"""

from app.comparisons.comparing import keep_comparison, measure_comparison, open_ground
from app.comparisons.counting import Stretch, count_stretch
from app.database import Json, unit_of_work
from worker.ledger import Work


def run(work: Work) -> Json:
    """Count what both found, then keep it with its figures; returns how many images both looked at."""
    project_id = work.project_id or 0
    runs = int(work.spec["first"]), int(work.spec["second"])
    with unit_of_work() as db:
        ground = open_ground(db, project_id, *runs)
    stretches: list[Stretch] = []
    while True:
        work.check()
        with unit_of_work() as db:
            after = stretches[-1].last if stretches else 0
            counted = count_stretch(db, ground, after)
        if counted is None:
            break
        stretches.append(counted)
        done = sum(each.images for each in stretches)
        work.report(done=done, total=None, message="images compared")
    with unit_of_work() as db:
        measured = measure_comparison(db, project_id, ground, stretches)
    with work.transaction() as db:
        keep_comparison(db, ground, measured)
    return {"images": measured.images, "attributes": len(ground.sides)}

"""How long two agent runs over many images take to be compared, and the page that shows it to be read.

    python -m bench.agent_comparing [--images 1000000] [--found 20]

Seeds two runs over that many images, each of which found so many of 200 sides, in an installation of its own, as the worker
keeps it; then counts, computes and keeps their comparison as its job does, and reads what the pages show of it. Printed are
seconds on the wall; of what is read the median and the slowest of twenty.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.comparisons.comparing import (
    ask_comparison,
    get_compared,
    get_side_images,
    keep_comparison,
    measure_comparison,
    open_ground,
)
from app.comparisons.counting import Stretch, count_stretch
from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.database import unit_of_work
from app.jobs.models import Job
from app.projects.founding import create_project, get_project
from app.settings import settings
from app.up import installation
from bench.audit_drawing import IMAGES
from bench.machine import describe
from taxonomy.shipped import painting_criteria

SLUG = "large"
REPEATS = 20
LOOKED_AT = """
    INSERT INTO agent_run_image (agent_run_id, image_id, version_id, state, proposed, found)
    SELECT :run, image.id, :version, 'labelled', cardinality(found), found
    FROM image, (SELECT array_agg(id ORDER BY id) AS ids FROM node WHERE kind = 'pair') AS pair, LATERAL (
        SELECT array_agg(DISTINCT CASE WHEN side % 2 = 0 THEN 1 ELSE -1 END * pair.ids[1 + side / 2]) AS found
        FROM (
            SELECT CASE WHEN (image.id * 7 + k * 13) % 9 = 0 THEN (image.id * 11 + k * :salt) % 200
                ELSE (image.id * 31 + k * 17) % 200 END AS side
            FROM generate_series(1, :found) AS k
        ) AS drawn
    ) AS sides
    WHERE image.project_id = :project
"""
DECIDES = """
    UPDATE agent_run SET images = :images, decides = (
        SELECT array_agg(sign * id) FROM (
            SELECT id FROM node WHERE kind = 'pair' ORDER BY id LIMIT 100
        ) AS pair, (VALUES (1), (-1)) AS side(sign)
    )
"""
T = TypeVar("T")


def seed(db: Session, images: int, found: int) -> tuple[int, int]:
    """A project with images that two runs looked at; returns the numbers of the runs."""
    project = create_project(db, slug=SLUG, name="Large", description="")
    load_criteria(db, project, painting_criteria(), by=None)
    version = freeze_version(db, project, note="seeded", by=None)
    db.execute(text(IMAGES), {"project": project.id, "images": images})
    runs = []
    for salt in (3, 5):
        job = Job(project_id=project.id, kind="agent_run", spec={}, state="succeeded")
        db.add(job)
        db.flush()
        run = AgentRun(
            project_id=project.id,
            agent="measured",
            agent_version=str(salt),
            version_id=version.id,
            job_id=job.id,
        )
        db.add(run)
        db.flush()
        known = {"project": project.id, "run": run.id, "version": version.id}
        db.execute(text(LOOKED_AT), known | {"salt": salt, "found": found})
        runs.append(run.id)
    db.execute(text(DECIDES), {"images": images})
    return runs[0], runs[1]


def timed(what: str, do: Callable[[], T]) -> T:
    """Do it, and print how long it took."""
    began = time.monotonic()
    found = do()
    print(f"{what:<48} {time.monotonic() - began:8.2f} s")
    return found


def repeated(what: str, do: Callable[[Session], object]) -> None:
    """Do it often, and print the median and the slowest."""
    took = []
    for _ in range(REPEATS):
        with unit_of_work() as db:
            began = time.monotonic()
            do(db)
            took.append(1_000 * (time.monotonic() - began))
    print(f"{what:<48} {statistics.median(took):8.1f} ms, slowest {max(took):.1f}")


def compare(first: int, second: int) -> None:
    """What the job does."""
    with unit_of_work() as db:
        project = get_project(db, SLUG)
        ask_comparison(db, project, first, second, by=None)
        project_id = project.id
        ground = open_ground(db, project_id, first, second)

    def count() -> list[Stretch]:
        stretches: list[Stretch] = []
        while True:
            with unit_of_work() as db:
                found = count_stretch(db, ground, stretches[-1].last if stretches else 0)
            if found is None:
                return stretches
            stretches.append(found)

    stretches = timed("counting", count)
    with unit_of_work() as db:
        measured = timed("figures", lambda: measure_comparison(db, project_id, ground, stretches))
        timed("keeping", lambda: keep_comparison(db, ground, measured))
    print(f"{measured.images} images, {len(measured.rows)} sides")


def main() -> None:
    asked = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    asked.add_argument("--images", type=int, default=1_000_000)
    asked.add_argument("--found", type=int, default=20)
    wanted = asked.parse_args()
    print(describe())
    with tempfile.TemporaryDirectory(prefix="morelli-bench-") as folder:
        os.environ["MORELLI_HOME"] = folder
        settings.cache_clear()
        with installation(lambda _: None):
            measure(wanted.images, wanted.found)


def measure(images: int, found: int) -> None:
    """Seed, compare, read."""
    with unit_of_work() as db:
        first, second = timed("seeding", lambda: seed(db, images, found))
    with unit_of_work() as db:
        db.execute(text("ANALYZE image, agent_run_image"))
    compare(first, second)

    def read(db: Session) -> None:
        get_compared(db, get_project(db, SLUG), first, second)

    def side(db: Session) -> None:
        project = get_project(db, SLUG)
        get_side_images(db, get_compared(db, project, first, second), 0)

    repeated("reading the comparison", read)
    repeated("reading the images of one attribute", side)


if __name__ == "__main__":
    main()

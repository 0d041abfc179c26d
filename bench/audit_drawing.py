"""How long it takes to set up an audit of many labelled images.

    python -m bench.audit_drawing [--images 1000000] [--labels 5] [--repeats 5]

Seeds a project with that many images and labels of an agent, in an installation of its own, most of them decided by
people in the order of import, as they work, then counts what there is to
draw from and draws and freezes samples of 100 images: simple, of images with many labels, stratified by root dimension,
and of one agent run. Printed are the median and the slowest of some repeats on the wall, and how many seconds of
processor this process spent; the database's are not among them.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.audits.sampling import Design, create_audit, population
from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.database import engine, unit_of_work
from app.projects.founding import create_project
from app.projects.models import Project
from app.settings import settings
from app.up import installation
from bench.machine import describe
from taxonomy.shipped import painting_criteria

IMAGES = """
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes, label_revision)
    SELECT :project, encode(sha256(convert_to('image ' || n, 'UTF8')), 'hex'), n || '.jpg', 'JPEG', 800, 600, 1, 1
    FROM generate_series(1, :images) AS n
"""
LABELS = """
    INSERT INTO label (project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id, measure, revision,
        decided_by, decided_at)
    SELECT :project, image.id, pair.ids[1 + (image.id * 31 + k * 17) % cardinality(pair.ids)],
        CASE WHEN (image.id + k) % 4 = 0 THEN 'negative' ELSE 'positive' END,
        CASE WHEN image.id > done.until THEN 'proposed' WHEN (image.id + k) % 5 = 0 THEN 'rejected' ELSE 'confirmed' END,
        'agent', :run, :version, 'm', 1,
        CASE WHEN image.id <= done.until THEN :person END, CASE WHEN image.id <= done.until THEN now() END
    FROM image, generate_series(1, :labels) AS k,
        (SELECT min(id) + 0.6 * (max(id) - min(id)) AS until FROM image) AS done,
        (SELECT array_agg(id ORDER BY id) AS ids FROM node WHERE kind = 'pair') AS pair
    WHERE image.project_id = :project AND k <= 1 + (image.id * 7) % :labels
    ON CONFLICT DO NOTHING
"""
EVENTS = """
    INSERT INTO label_event (image_id, node_id, polarity, kind, after, image_revision, agent_run_id, version_id)
    SELECT image_id, node_id, polarity, 'propose', 'proposed', 1, agent_run_id, version_id FROM label
"""


def seed(db: Session, images: int, labels: int) -> tuple[int, int]:
    """A project with images and labels; returns its id and the agent run's."""
    project = create_project(db, slug="large", name="Large", description="")
    load_criteria(db, project, painting_criteria(), by=None)
    version = freeze_version(db, project, note="seeded", by=None)
    run = AgentRun(
        project_id=project.id, agent="measured", agent_version="1", version_id=version.id
    )
    db.add(run)
    db.flush()
    person = Person(name="Bench", email="bench@example.org")
    db.add(person)
    db.flush()
    known = {
        "project": project.id,
        "images": images,
        "labels": labels,
        "run": run.id,
        "person": person.id,
    }
    for statement in (IMAGES, LABELS, EVENTS):
        named = {each: value for each, value in known.items() if f":{each}" in statement}
        db.execute(
            text(statement), named | ({"version": version.id} if ":version" in statement else {})
        )
    run.labels = db.scalar(text("SELECT count(*) FROM label")) or 0
    return project.id, run.id


def timed(name: str, repeats: int, act: Callable[[Session, int], object]) -> None:
    """Do something some times, each in a transaction that is kept, and print how long it took."""
    walls, used, found = [], time.process_time(), None
    for number in range(repeats):
        began = time.monotonic()
        with unit_of_work() as db:
            found = act(db, number)
        walls.append(time.monotonic() - began)
    spent = (time.process_time() - used) / repeats
    print(
        f"{name:44} median {statistics.median(walls):6.2f} s   slowest {max(walls):6.2f} s"
        f"   processor {spent:5.2f} s   {found or ''}",
        flush=True,
    )


def measure(project_id: int, run_id: int, repeats: int, labels: int) -> None:
    """Every way to set an audit up."""

    def make(design: Design) -> Callable[[Session, int], object]:
        def act(db: Session, number: int) -> None:
            project = db.get_one(Project, project_id)
            chosen = Design(
                **{name: getattr(design, name) for name in design.__slots__} | {"seed": number}
            )
            create_audit(db, project, name="bench", design=chosen, notice="Please read.", by=None)

        return act

    def count(least: int) -> Callable[[Session, int], object]:
        def act(db: Session, _: int) -> object:
            project = db.get_one(Project, project_id)
            return population(db, project, min_labels=least, agent_run=None)

        return act

    # Of pairs out of use nothing is asked, so hardly an image has as many as were seeded.
    many = max(1, labels * 4 // 5)
    timed("count: any label", repeats, count(1))
    timed("count: as many labels as few have", repeats, count(many))
    plain: dict[str, Any] = {
        "seed": 0,
        "sample_size": 100,
        "decoy_percent": 20,
        "check_percent": 10,
    }
    timed("draw 100", repeats, make(Design(**plain)))
    timed("draw 100 with many labels", repeats, make(Design(**plain, min_labels=many)))
    timed("draw 100 by root dimension", repeats, make(Design(**plain, strata="root")))
    timed("draw 100 of one run", repeats, make(Design(**plain, agent_run=run_id)))
    timed("draw 1,000", repeats, make(Design(**plain | {"sample_size": 1_000})))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--labels", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    asked = parser.parse_args()
    print(describe(), flush=True)
    with tempfile.TemporaryDirectory(prefix="morelli-bench-") as folder:
        os.environ["MORELLI_HOME"] = str(Path(folder) / "home")
        settings.cache_clear()
        with installation(lambda _: None):
            began = time.monotonic()
            with unit_of_work() as db:
                project_id, run_id = seed(db, asked.images, asked.labels)
            with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM ANALYZE"))
                labels = connection.scalar(text("SELECT count(*) FROM label"))
            print(
                f"{asked.images:,} images, {labels:,} labels, in {time.monotonic() - began:.0f} s\n"
            )
            measure(project_id, run_id, asked.repeats, asked.labels)


if __name__ == "__main__":
    main()

"""Seeds a large project: images, labels of an agent run, decisions of people, events, jobs, an audit.

    python -m bench.seeding --images 10277 --labels 250000

The rows are those that the application would have written; the pictures are a handful of small ones,
shared by all rows, because pages do not look into them.
"""

import argparse
import hashlib
import random
import time
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import numpy as np
import psycopg
from PIL import Image as Pictures
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.criteria.models import Node
from app.database import engine, unit_of_work
from app.images import storage
from app.images.pictures import compare_pictures
from app.projects.founding import create_project, set_role
from app.projects.models import Project
from app.up import installation
from taxonomy.shipped import painting_criteria

SLUG = "large"
BLOCK = 5000


def pixels(number: int) -> bytes:
    """A small picture; the same number gives the same bytes."""
    rng = np.random.default_rng(number)
    low = rng.integers(40, 220, (6, 8, 3), dtype=np.uint8)
    out = BytesIO()
    Pictures.fromarray(low).resize((400, 300)).save(out, "WEBP")
    return out.getvalue()


def looks(images: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """How as many pictures look: soft forms, every tenth of them near the one before."""
    rng = np.random.default_rng(1)
    forms = rng.normal(128, 40, (images, 6, 6))
    forms[9::10] = forms[8::10][: len(forms[9::10])] + rng.normal(0, 2, (6, 6))
    return np.kron(forms, np.ones((1, 4, 4))).clip(0, 255).astype(np.uint8)


def seed(images: int, labels: int, *, compare: bool = True, say: Any = print) -> str:
    """Make the project; returns its address. The database is the one of the settings.

    Without `compare` the pictures are not compared, which nothing but a dataset asks for.
    """
    began = time.monotonic()
    with unit_of_work() as db:
        project, lead = _people(db)
        load_criteria(db, project, painting_criteria(), by=None)
        version = freeze_version(db, project, note="seeded", by=None)
        run = AgentRun(
            project_id=project.id, agent="measured", agent_version="seeded", version_id=version.id
        )
        db.add(run)
        db.flush()
        _images(db, project, images)
        made = _labels(db, project, images, labels, version.id, run.id, lead.id)
        run.images, run.labels = images, made
        project_id = project.id
    if compare:  # What an import does at its end.
        compare_pictures(unit_of_work, project_id)
    # What autovacuum does within a minute of such an import.
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    say(f"seeded {images} images and {made} labels in {time.monotonic() - began:.1f} s")
    return SLUG


def _people(db: Session) -> tuple[Project, Person]:
    project = create_project(db, slug=SLUG, name="A large project", description="Seeded.")
    lead = Person(email="lead@large.example.org", name="Lea", is_operator=True)
    db.add(lead)
    db.flush()
    set_role(db, project, lead, "lead")
    return project, lead


def _copy(db: Session, statement: str, rows: Any) -> None:
    driver = db.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


def _images(db: Session, project: Project, images: int) -> None:
    shown = pixels(0)

    def rows() -> Any:
        for number, seen in enumerate(looks(images)):
            sha256 = hashlib.sha256(f"{number}".encode()).hexdigest()
            if number < 200:  # what the walls and pages of the measurement show
                for kind in ("display", "thumb", "original"):
                    storage.put(storage.key_of(kind, sha256), shown)
            yield (
                project.id,
                sha256,
                f"painting-{number:05d}.jpg",
                "JPEG",
                1024,
                768,
                250_000,
                f"A harbor at dusk with {number} boats, oil painting",
                1,
                hashlib.sha256(seen.tobytes()).hexdigest(),
                seen.tobytes(),
            )

    columns = "project_id, sha256, name, format, width, height, bytes, prompt, label_revision, pixels, looks"
    _copy(db, f"COPY image ({columns}) FROM STDIN", rows())


def _labels(
    db: Session, project: Project, images: int, labels: int, version_id: int, run_id: int, lead: int
) -> int:
    chance = random.Random(0)
    ids = list(
        db.scalars(
            text("SELECT id FROM image WHERE project_id = :p ORDER BY id"), {"p": project.id}
        )
    )
    pairs = list(
        db.scalars(select(Node.id).where(Node.project_id == project.id, Node.kind == "pair"))
    )
    each, more = divmod(labels, images)
    now = datetime.now(UTC)
    made: list[tuple[Any, ...]] = []
    for place, image_id in enumerate(ids):
        for node_id in chance.sample(pairs, min(each + (place < more), len(pairs))):
            polarity = "positive" if chance.random() < 0.7 else "negative"
            state = chance.choices(["proposed", "confirmed", "rejected"], [5, 4, 1])[0]
            decided = (lead, now) if state != "proposed" else (None, None)
            made.append(
                (
                    project.id, image_id, node_id, polarity, state, "agent", run_id, version_id,
                    "seeded", chance.random(), 0.5, chance.random(), 1, *decided,
                )
            )  # fmt: skip
    columns = (
        "project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id,"
        " measure, value, threshold, confidence, revision, decided_by, decided_at"
    )
    _copy(db, f"COPY label ({columns}) FROM STDIN", made)
    db.execute(
        text(
            "INSERT INTO label_event (image_id, node_id, polarity, kind, after, image_revision,"
            " agent_run_id, version_id) SELECT image_id, node_id, polarity, 'propose', 'proposed', 1,"
            " agent_run_id, version_id FROM label WHERE project_id = :p"
        ),
        {"p": project.id},
    )
    return len(made)


def main() -> None:
    """Seed the installation of MORELLI_HOME."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=10_277)
    parser.add_argument("--labels", type=int, default=250_000)
    wanted = parser.parse_args()
    with installation(print):
        seed(wanted.images, wanted.labels)


if __name__ == "__main__":
    main()

"""How long it takes to look at a bulk action on many images, to do it, and to take it back.

    python -m bench.bulk --images 100000

Seeds an installation of its own: images with ten labels each, and one attribute that is set on all of them. Then it
asks the wall for images by what their metadata says, at the same size. A busy machine makes all of it slower: its
load is printed.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.bulk.asking import Wish, ask_for
from app.bulk.looking import look
from app.bulk.taking import take
from app.bulk.undoing import undo
from app.criteria.models import Node
from app.database import engine, unit_of_work
from app.images.finding import find_images
from app.images.narrowing import Narrowing, Saying
from app.labels.models import Label
from app.projects.models import Project
from app.up import installation
from bench import machine
from bench.seeding import SLUG, seed

PAINTERS = 500
LABELS_EACH = 10
_SAY = """
    UPDATE image SET details = jsonb_build_object('painter', 'Painter ' || id % :painters, 'year', 1500 + id % 400)
"""


def timed(what: str, act: Callable[[], Any], images: int) -> Any:
    """Print how long an act takes, in all and for a thousand images."""
    began = time.monotonic()
    came_to = act()
    took = time.monotonic() - began
    each = 1000 * 1000 * took / images
    print(
        f"{what}: {took:.1f} s, {each:.0f} ms for 1,000 images, load {os.getloadavg()[0]:.1f}: {came_to}"
    )
    return came_to


def _most_proposed(db: Session) -> tuple[str, str]:
    """The attribute with most proposals."""
    number = func.count().label("number")
    row = db.execute(
        select(Node.key, Label.polarity, number)
        .join(Label, Label.node_id == Node.id)
        .where(Label.state == "proposed")
        .group_by(Node.key, Label.polarity)
        .order_by(number.desc())
        .limit(1)
    ).one()
    return row.key, row.polarity


def measure(images: int) -> None:
    """Look, do, take back; then ask for a painter."""
    seed(images, LABELS_EACH * images, compare=False)
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    with unit_of_work() as db:
        project = db.scalars(select(Project).where(Project.slug == SLUG)).one()
        person = db.scalars(select(Person).order_by(Person.id)).first()
        assert person is not None
        key, polarity = _most_proposed(db)
        action_id = ask_for(db, project, Wish("add", key, polarity), by=person).id
        project_id, person_id = project.id, person.id
    timed("looked at", lambda: look(action_id, transaction=unit_of_work), images)
    timed("done", lambda: take(action_id, transaction=unit_of_work), images)
    with unit_of_work() as db:
        db.execute(text("UPDATE bulk_action SET undone_by = :person"), {"person": person_id})
    timed("taken back", lambda: undo(action_id, transaction=unit_of_work), images)
    _ask_for_painters(project_id)


def _ask_for_painters(project_id: int) -> None:
    with unit_of_work() as db:
        db.execute(text(_SAY), {"painters": PAINTERS})
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    for what, sayings in (
        ("one painter of 500", (Saying("painter", "painter 77"),)),
        ("a painter and a year", (Saying("painter", "painter 77"), Saying("year", "1577"))),
        ("nobody", (Saying("painter", "nobody"),)),
    ):
        asked = [_first_page(project_id, Narrowing(sayings=sayings)) for _ in range(5)]
        times = [1000 * took for took, _ in asked]
        print(
            f"first page of {what}: {min(times):.0f} to {max(times):.0f} ms, {asked[0][1]} images"
        )


def _first_page(project_id: int, narrowing: Narrowing) -> tuple[float, int]:
    began = time.monotonic()
    with unit_of_work() as db:
        page = find_images(db, db.get_one(Project, project_id), narrowing=narrowing)
    return time.monotonic() - began, len(page.images)


def main() -> None:
    """Measure in an installation of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--images", type=int, default=100_000)
    wanted = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as home:
        os.environ["MORELLI_HOME"] = home
        with installation(print):
            measure(wanted.images)


if __name__ == "__main__":
    main()

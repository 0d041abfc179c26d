"""How long a publication takes that carries a merge out on many labels, and the one that takes it back.

    python -m bench.merging --labels 100000

Seeds an installation of its own: images with up to two labels each, half on either of two pairs that are merged
into a new one, in all states; every fifth image has both. A busy machine makes all of it slower: its load is printed, and what the processors did.
"""

import argparse
import os
import tempfile
import time
from typing import Any

from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.merging import NewPair, merge
from app.criteria.models import Node
from app.criteria.undoing import undo
from app.database import engine, unit_of_work
from app.labels.models import Label, LabelEvent
from app.projects.models import Project
from app.up import installation
from app.versions.publishing import preview, publish
from bench import machine
from bench.machine import processor_seconds
from bench.seeding import SLUG, seed
from taxonomy.tree import Attribute

_LABELS = """
    INSERT INTO label (project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id,
                       measure, value, threshold, confidence, revision, decided_by, decided_at)
    SELECT i.project_id, i.id, n.id, 'positive', s.state, 'agent', r.id, r.version_id, 'seeded', 0.5, 0.4, 0.9, 1,
           CASE WHEN s.state <> 'proposed' THEN :person END, CASE WHEN s.state <> 'proposed' THEN now() END
    FROM image AS i, agent_run AS r, node AS n,
         LATERAL (SELECT (ARRAY['proposed', 'confirmed', 'rejected'])[1 + (i.id + n.id) % 3] AS state) AS s
    WHERE n.id = ANY(:nodes) AND (i.id % 5 = 0 OR (i.id % 2 = 0) = (n.id = :first))
"""


def fill(db: Session, nodes: list[Node], person: Person) -> int:
    """Labels of two pairs on all images; returns how many."""
    ids = [node.id for node in nodes]
    db.execute(text("DELETE FROM label"))
    values = {"nodes": ids, "first": ids[0], "person": person.id}
    db.execute(text(_LABELS), values)
    db.execute(
        text(
            "INSERT INTO label_event (image_id, node_id, polarity, kind, after, image_revision,"
            " agent_run_id, version_id) SELECT image_id, node_id, polarity, 'propose', state, 1,"
            " agent_run_id, version_id FROM label"
        )
    )
    return db.scalar(select(func.count()).select_from(Label)) or 0


def timed(what: str, act: Any, *, parts: bool) -> None:
    """Print how long an act takes in a transaction of its own, and its slowest statements."""
    spent: list[tuple[float, str]] = []

    def before(*values: Any) -> None:
        values[4].began = time.monotonic()

    def after(*values: Any) -> None:
        spent.append((time.monotonic() - values[4].began, " ".join(values[2].split())[:90]))

    event.listen(engine(), "before_cursor_execute", before)
    event.listen(engine(), "after_cursor_execute", after)
    began = time.monotonic()
    with unit_of_work() as db:
        pid = db.scalar(text("SELECT pg_backend_pid()")) or 0
        busy = processor_seconds(pid) + time.process_time()
        act(db)
        db.flush()
        busy = processor_seconds(pid) + time.process_time() - busy
    took = time.monotonic() - began
    event.remove(engine(), "before_cursor_execute", before)
    event.remove(engine(), "after_cursor_execute", after)
    print(
        f"{what}: {took:.2f} s, of which {busy:.2f} s of processor (load {os.getloadavg()[0]:.1f})"
    )
    for seconds, statement in sorted(spent, reverse=True)[: 6 if parts else 0]:
        print(f"    {seconds:6.2f} s  {statement}")


def measure(labels: int, *, parts: bool) -> None:
    """Merge, publish, take back, publish."""
    seed(round(labels / 1.2), 0, compare=False)
    with unit_of_work() as db:
        project = db.scalars(select(Project).where(Project.slug == SLUG)).one()
        person = db.scalars(select(Person)).first()
        assert person is not None
        pairs = db.scalars(
            select(Node).where(Node.kind == "pair", ~Node.removed).order_by(Node.id).limit(200)
        ).all()
        first = pairs[0]
        second = next(each for each in pairs if each.parent_id != first.parent_id)
        made = fill(db, [first, second], person)
        keys = [first.key, second.key]
        new = NewPair(
            "opposed", Attribute("Merged quality", "Both."), Attribute("Merged lack", "No.")
        )
        merge(db, project, keys, into=new, based_on=dict.fromkeys(keys, 1), by=person)
        project_id, person_id = project.id, person.id
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # Each image was raised by the run that proposed its labels, and cleaned up after.
        connection.execute(text("UPDATE image SET label_revision = label_revision"))
        connection.execute(text("VACUUM ANALYZE"))

    def act(verb: Any, *values: Any, **named: Any) -> Any:
        return lambda db: verb(
            db, db.get_one(Project, project_id), *values, **named, **_by(db, verb, person_id)
        )

    print(f"{made} labels on {round(labels / 1.2)} images, two pairs merged into a new one")
    timed("preview", act(preview), parts=parts)
    timed("publication of the merge", act(publish), parts=parts)
    with unit_of_work() as db:
        states = db.execute(select(Label.state, func.count()).group_by(Label.state)).all()
        print("  labels now:", sorted((each[0], each[1]) for each in states))
        events = db.scalar(select(func.count()).where(LabelEvent.kind == "merge"))
        print(f"  events written: {events}")
    timed("undo of the merge", act(undo, 2), parts=parts)
    timed("publication that takes it back", act(publish), parts=parts)
    with unit_of_work() as db:
        again = db.scalar(select(func.count()).select_from(Label))
        print(f"  labels now: {again} of {made}")


def _by(db: Session, verb: Any, person_id: int) -> dict[str, Person]:
    return {} if verb is preview else {"by": db.get_one(Person, person_id)}


def main() -> None:
    """Measure in an installation of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--labels", type=int, default=100_000)
    parser.add_argument("--parts", action="store_true", help="print the slowest statements too")
    wanted = parser.parse_args()
    print(machine.describe())
    with tempfile.TemporaryDirectory() as home:
        os.environ["MORELLI_HOME"] = home
        with installation(print):
            measure(wanted.labels, parts=wanted.parts)


if __name__ == "__main__":
    main()

"""Fills an installation with a project as large as the largest: a million images, 25 labels each.

Labels lie as work leaves them: agents proposed in ten runs in the order of the images, sixteen people decided
in that order, and 60 % of the images are done. Every image carries 25 of the shipped criteria's pairs,
some often and some rarely. Indexes and foreign keys are made, and checked, once all rows are there, and counts
are then recounted: in the end everything is as an installation has it.
"""

import hashlib
import json
import random
import re
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import psycopg
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.freezing import freeze_version
from app.criteria.loading import load_criteria
from app.database import engine, unit_of_work
from app.images import storage
from app.images.looks import SIZE
from app.images.searching import search_words
from app.labels.recounting import recount
from app.projects.founding import create_project, set_role
from bench.seeding import SLUG, pixels
from taxonomy.shipped import painting_criteria

LABELS_OF_ONE = 25
RUNS = 10
ANNOTATORS = 16
DONE_SHARE = 0.6
PART = 20_000
WITH_PICTURES = 130
"""Images at the ends of each part of the work that have files: those that measured pages show."""
# Of the images' triggers those that nothing makes up for in the end: the queue, and what metadata says; and what a recount looks at.
WORK_MEANWHILE = (
    *("image_added_waits", "image_added_valued"),
    *("image_added_contradicts", "image_added_unfrozen"),
)
BIG_TABLES = ("image", "label", "label_event", "agent_run_image")
PLACES = (
    "harbor",
    "orchard",
    "mill",
    "cathedral",
    "kitchen",
    "ravine",
    "market",
    "studio",
    "ferry",
)
TIMES = ("at dusk", "in rain", "at noon", "in winter", "before a storm", "by lamplight")


def fill(images: int, say: Callable[[str], None]) -> None:
    """Make the project in the database of the settings, which holds none of that name."""
    began = time.monotonic()
    known = _begin()
    known["images"], known["done"] = images, int(images * DONE_SHARE)
    later = _set_aside()
    _images(known, images)
    say(f"  images after {time.monotonic() - began:.0f} s")
    for first in range(0, images, PART):
        part = {"first": first + 1, "last": min(first + PART, images)}
        with engine().begin() as connection:
            connection.execute(text("SET LOCAL synchronous_commit = off"))
            for statement in (_LABELS, _RUN_IMAGES, _PROPOSED, _DECIDED, _DONE):
                connection.execute(text(_typed(statement)), {**known, **part})
    say(f"  labels and events after {time.monotonic() - began:.0f} s")
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("SET maintenance_work_mem = '1GB'"))
        for statement in later:
            connection.execute(text(statement))
        say(f"  indexes and foreign keys after {time.monotonic() - began:.0f} s")
        connection.execute(text(_SUM_RUNS))
        connection.execute(text(_SURENESS))
        connection.execute(text("VACUUM ANALYZE"))
    with unit_of_work() as db:
        db.execute(text("SET LOCAL statement_timeout = 0"))
        recount(db)
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(
            text("VACUUM ANALYZE image_tally, image_contradiction, label_count, image_count")
        )
    say(f"{images:,} images, {images * LABELS_OF_ONE:,} labels in {time.monotonic() - began:.0f} s")


def _set_aside() -> list[str]:
    """Drop indexes and foreign keys of the big tables and have their triggers wait; returns what brings them back."""
    with engine().begin() as connection:
        tables = {"tables": list(BIG_TABLES)}
        foreign = connection.execute(text(_FOREIGN_KEYS), tables).all()
        indexes = connection.execute(text(_INDEXES), tables).all()
        for table, name, _ in foreign:
            connection.execute(text(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"'))
        for name, _ in indexes:
            connection.execute(text(f'DROP INDEX "{name}"'))
        for table in BIG_TABLES:
            connection.execute(text(f"ALTER TABLE {table} DISABLE TRIGGER USER"))
        for name in WORK_MEANWHILE:
            connection.execute(text(f"ALTER TABLE image ENABLE TRIGGER {name}"))
    return [
        *(definition for _, definition in indexes),
        *(
            f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}'
            for table, name, definition in foreign
        ),
        *(f"ALTER TABLE {table} ENABLE TRIGGER USER" for table in BIG_TABLES),
    ]


_FOREIGN_KEYS = """
    SELECT t.relname, c.conname, pg_get_constraintdef(c.oid) FROM pg_constraint AS c
    JOIN pg_class AS t ON t.oid = c.conrelid
    WHERE c.contype = 'f' AND t.relname = ANY(:tables) AND t.relnamespace = 'public'::regnamespace
"""
_INDEXES = """
    SELECT i.relname, pg_get_indexdef(i.oid) FROM pg_index AS x
    JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS t ON t.oid = x.indrelid
    WHERE t.relname = ANY(:tables) AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.oid)
      AND t.relnamespace = 'public'::regnamespace
"""


def _typed(statement: str) -> str:
    """The statement, whose numbers are of one type however small they are."""
    numbers = r":(offset|first|last|done|images|each|project|version)\b"
    return re.sub(numbers, r"CAST(:\1 AS bigint)", statement)


def _begin() -> dict[str, Any]:
    """The project, its criteria, people and runs: what all rows name."""
    with unit_of_work() as db:
        project = create_project(db, slug=SLUG, name="A large project", description="Seeded.")
        people = [
            Person(email=f"annotator{each}@large.example.org", name=f"Annotator {each}")
            for each in range(ANNOTATORS)
        ]
        db.add_all(people)
        db.flush()
        for each in people:
            set_role(db, project, each, "annotator")
        load_criteria(db, project, painting_criteria(), by=None)
        version = freeze_version(db, project, note="seeded", by=None)
        runs = [
            AgentRun(
                project_id=project.id,
                agent="measured",
                agent_version="seeded",
                version_id=version.id,
            )
            for _ in range(RUNS)
        ]
        db.add_all(runs)
        db.flush()
        pairs = db.scalars(
            text("SELECT id FROM node WHERE project_id = :p AND kind = 'pair' ORDER BY id"),
            {"p": project.id},
        )
        return {
            "project": project.id,
            "version": version.id,
            "runs": [each.id for each in runs],
            "people": [each.id for each in people],
            "pairs": list(pairs),
            "each": LABELS_OF_ONE,
        }


def _images(known: dict[str, Any], images: int) -> None:
    shown = pixels(0)
    pictured = {
        *range(1, WITH_PICTURES),
        *range(known["done"], known["done"] + WITH_PICTURES),
        *range(images - WITH_PICTURES, images + 1),
    }
    for first in range(0, images, PART):
        numbers = range(first + 1, min(first + PART, images) + 1)
        for number in pictured & set(numbers):
            for kind in ("display", "thumb"):
                storage.put(storage.key_of(kind, _sha256(number)), shown)
        with unit_of_work() as db:
            _copy(
                db, f"COPY image ({_IMAGE}) FROM STDIN", _rows(known, numbers)
            )  # fmt: skip
    with unit_of_work() as db:
        db.execute(text("SET LOCAL statement_timeout = 0"))
        # Some came back with something new, a few were set aside.
        db.execute(text(_CAME_BACK), known)
        db.execute(text(_ASIDE), known)
        first_id = db.scalar(
            text("SELECT min(id) - 1 FROM image WHERE project_id = :project"), known
        )
        known["offset"] = first_id


_IMAGE = (
    "project_id, sha256, name, format, width, height, bytes, prompt, details, search, label_revision,"
    " done_at, done_by, pixels, looks"
)
_CAME_BACK = """
    UPDATE image SET came_back_at = now() WHERE project_id = :project AND done_at IS NOT NULL AND id % 1009 = 0
"""
_ASIDE = """
    UPDATE image SET state = 'aside', state_at = now(), state_reason = 'a scan', done_at = NULL, done_by = NULL
    WHERE project_id = :project AND id % 2003 = 0
"""


def _sha256(number: int) -> str:
    return hashlib.sha256(f"large {number}".encode()).hexdigest()


def _rows(known: dict[str, Any], numbers: range) -> Iterator[tuple[Any, ...]]:
    chance = random.Random(numbers[0])
    looks = np.random.default_rng(numbers[0]).integers(0, 256, (len(numbers), SIZE), dtype=np.uint8)
    for number, seen in zip(numbers, looks, strict=True):
        given = {
            "folder": f"{number // 1000:04d}",
            "number": f"{number:07d}",
            "boats": str(number % 97),
            "painter": str(chance.randrange(400)),
            "year": str(chance.randrange(1400, 1960)),
        }
        place, when = chance.choice(PLACES), chance.choice(TIMES)
        name, prompt, details = (each.format(**given) for each in _texts(place, when))
        words = _words(place, when)
        for part, value in given.items():
            words = words.replace(_STANDING_IN[part], value)
        is_done = number <= known["done"]
        yield (
            *(known["project"], _sha256(number), name, "JPEG", 1024, 768, 250_000, prompt),
            *(details.replace("<", "{").replace(">", "}"), words),
            *(LABELS_OF_ONE + 1 if is_done else 1, "2026-06-01" if is_done else None),
            known["people"][0] if is_done else None,
            *(hashlib.sha256(seen.tobytes()).hexdigest(), seen.tobytes()),
        )


def _texts(place: str, when: str) -> tuple[str, str, str]:
    """Name, prompt and metadata, with places for numbers."""
    return (
        "paintings/{folder}/painting-{number}.jpg",
        f"A {place} {when} with {{boats}} boats, oil painting",
        '<"title": "Study {number}", "painter": "Painter {painter}", "year": "{year}">',
    )


# Splitting texts into words takes longer than all else, so it is done once for each text, with these numbers.
_STANDING_IN = {
    "folder": "1111",
    "number": "2222222",
    "boats": "333",
    "painter": "44444",
    "year": "5555",
}


@lru_cache
def _words(place: str, when: str) -> str:
    name, prompt, details = (each.format(**_STANDING_IN) for each in _texts(place, when))
    return search_words(name, prompt, json.loads(details.replace("<", "{").replace(">", "}")))


def _copy(db: Session, statement: str, rows: Iterator[tuple[Any, ...]]) -> None:
    db.execute(text("SET LOCAL statement_timeout = 0"))
    driver = db.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(row)


# A number drawn by a hash of image and place: 0 to 1023, the same each time.
_DRAWN = "(hashint8extended((:offset + n) * 64 + place, {seed}) & 1023)"

# The pairs are dealt into as many heaps as an image has labels; of each heap it has one, the first ones oftener.
_LABELS = f"""
    WITH drawn AS (
        SELECT :offset + n AS image_id, n, place,
               {_DRAWN.format(seed=1)} AS one, {_DRAWN.format(seed=2)} AS other, {_DRAWN.format(seed=3)} AS third
        FROM generate_series(:first, :last) AS n CROSS JOIN generate_series(0, :each - 1) AS place
    ), heap AS (
        SELECT place, array_agg(pair ORDER BY number) AS pairs FROM (
            SELECT pair, number, (number - 1) % :each AS place
            FROM unnest(CAST(:pairs AS bigint[])) WITH ORDINALITY AS p(pair, number)
        ) AS dealt GROUP BY place
    )
    INSERT INTO label (
        project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id, measure, value,
        threshold, confidence, evidence, revision, decided_by, decided_at
    )
    SELECT :project, image_id,
           pairs[1 + floor(cardinality(pairs) * (one / 1024.0) ^ 2)::integer],
           CASE WHEN other % 10 < 7 THEN 'positive' ELSE 'negative' END,
           CASE WHEN n > :done THEN 'proposed' WHEN third % 5 = 0 AND NOT is_persons THEN 'rejected' ELSE 'confirmed' END,
           CASE WHEN is_persons THEN 'person' ELSE 'agent' END,
           CASE WHEN NOT is_persons THEN (CAST(:runs AS bigint[]))[1 + (n - 1) * cardinality(CAST(:runs AS bigint[])) / :images] END,
           :version, CASE WHEN NOT is_persons THEN 'seeded' END,
           CASE WHEN NOT is_persons THEN other / 1024.0 END, CASE WHEN NOT is_persons THEN 0.5 END,
           CASE WHEN NOT is_persons THEN third / 1024.0 END, NULL, 1 + place * (n <= :done)::integer,
           CASE WHEN n <= :done THEN (CAST(:people AS bigint[]))[1 + n % cardinality(CAST(:people AS bigint[]))] END,
           CASE WHEN n <= :done THEN timestamptz '2026-01-01' + n * interval '20 seconds' END
    FROM drawn JOIN heap USING (place)
    CROSS JOIN LATERAL (SELECT n <= :done AND place = 0 AND third % 2 = 0 AS is_persons) AS by
    ORDER BY image_id, place
"""
_OF_PART = "image_id BETWEEN :offset + :first AND :offset + :last"
_RUN_IMAGES = f"""
    INSERT INTO agent_run_image (agent_run_id, image_id, version_id, state, proposed)
    SELECT agent_run_id, image_id, :version, 'labelled', count(*) FROM label
    WHERE {_OF_PART} AND agent_run_id IS NOT NULL GROUP BY agent_run_id, image_id ORDER BY image_id
"""
_PROPOSED = f"""
    INSERT INTO label_event (image_id, node_id, polarity, kind, after, image_revision, agent_run_id, version_id)
    SELECT image_id, node_id, polarity, 'propose', 'proposed', 1, agent_run_id, version_id
    FROM label WHERE {_OF_PART} AND agent_run_id IS NOT NULL ORDER BY id
"""
_DECIDED = f"""
    INSERT INTO label_event (
        image_id, node_id, polarity, kind, before, after, image_revision, person_id, version_id, operation_id, sitting, at
    )
    SELECT image_id, node_id, polarity,
           CASE WHEN source = 'person' THEN 'add' WHEN state = 'rejected' THEN 'reject' ELSE 'confirm' END,
           CASE WHEN source = 'agent' THEN 'proposed' END, state, revision, decided_by, version_id, gen_random_uuid(),
           md5((decided_by * 1000 + image_id / 1000)::text)::uuid, decided_at
    FROM label WHERE {_OF_PART} AND decided_by IS NOT NULL ORDER BY id
"""
_DONE = """
    INSERT INTO label_event (image_id, kind, after, image_revision, person_id, version_id, operation_id)
    SELECT id, 'done', 'done', label_revision, done_by, :version, gen_random_uuid()
    FROM image WHERE id BETWEEN :offset + :first AND :offset + :last AND done_at IS NOT NULL
"""
# What a measured queue knows.
_SURENESS = """
    UPDATE waiting_image AS w SET sureness = m.sureness FROM (
        SELECT l.image_id, avg(l.confidence) AS sureness FROM label AS l
        WHERE l.state = 'proposed' AND l.source = 'agent' GROUP BY l.image_id
    ) AS m WHERE m.image_id = w.image_id
"""
_SUM_RUNS = """
    UPDATE agent_run SET images = s.images, labels = s.labels FROM (
        SELECT agent_run_id, count(*) AS images, sum(proposed) AS labels FROM agent_run_image GROUP BY agent_run_id
    ) AS s WHERE s.agent_run_id = agent_run.id
"""

"""Labels from a file, thousands at a time: what they would change, and storing them with their history.

Each label is one of four kinds. It is `new`; it says the `same` as what stands (a proposal says nothing
against a decision); it `decides` what is only proposed, or what somebody was unsure of; or it is `contradicting` a decision, which stays
unless whoever imports wishes otherwise.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import psycopg
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.errors import Conflict
from app.images.inclusion import in_use
from app.images.models import Image
from app.labels.access import find_in_force, hold_labels
from app.labels.finishing import bring_back
from app.labels.models import Label
from app.projects.models import Project

Effect: TypeAlias = Literal["new", "same", "decides", "contradicting"]
EFFECTS: tuple[Effect, ...] = ("new", "same", "decides", "contradicting")


class Incoming(NamedTuple):
    """A label of a file, with what it names found. `agent_run_id` is who proposed it, `person_id` who decided it
    or else stated it; `at` is when, None for now. `line` is where it stands.
    """

    line: int
    image_id: int
    node_id: int
    polarity: str
    state: str
    source: str
    agent_run_id: int | None
    person_id: int
    at: str | None
    measure: str | None
    value: float | None
    threshold: float | None
    confidence: float | None
    evidence: str | None


@dataclass(frozen=True)
class Against:
    """A label of a file that contradicts a decision: what the file says, and what stands."""

    line: int
    image_id: int
    image: str
    name: str
    polarity: str
    says: str
    stands: str


@dataclass(frozen=True)
class Taken:
    """What was stored of some labels: how many by effect, and for each agent run of each image how many are new."""

    counts: dict[Effect, int]
    by_run: dict[int, dict[int, int]]


_TABLE = text(
    """
    CREATE TEMPORARY TABLE incoming (
        line bigint, image_id bigint, node_id bigint, polarity text, state text, source text,
        agent_run_id bigint, person_id bigint, at timestamptz,
        measure text, value float8, threshold float8, confidence float8, evidence text
    ) ON COMMIT DROP
    """
)
_COPY = f"COPY incoming ({', '.join(Incoming._fields)}) FROM STDIN"
_JUDGED = """
    SELECT i.*, l.id AS label_id, l.state AS stands,
           CASE WHEN l.id IS NULL THEN 'new'
                WHEN l.state = i.state OR i.state = 'proposed' THEN 'same'
                WHEN l.state IN ('proposed', 'unsure') THEN 'decides'
                ELSE 'contradicting' END AS effect
    FROM incoming AS i LEFT JOIN label AS l USING (image_id, node_id, polarity)
"""


def begin_incoming(db: Session) -> None:
    """Make room for labels of a file until this transaction ends."""
    db.execute(_TABLE)


def add_incoming(db: Session, labels: Iterable[Incoming]) -> None:
    """Put labels of a file beside those that stand; nothing is stored yet."""
    driver = db.connection().connection.driver_connection
    assert isinstance(driver, psycopg.Connection)
    with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
        for each in labels:
            copy.write_row(each)


# Looking ----------------------------------------------------------------------------------------


def count_effects(db: Session) -> dict[Effect, int]:
    """How many of the incoming labels are of each kind."""
    db.execute(text("ANALYZE incoming"))
    rows = db.execute(text(f"SELECT effect, count(*) FROM ({_JUDGED}) AS j GROUP BY effect"))
    found: dict[Any, int] = dict(rows.all())
    return {effect: found.get(effect, 0) for effect in EFFECTS}


def find_contradicting(db: Session, *, limit: int) -> list[Against]:
    """The first of the incoming labels that contradict a decision, by line."""
    rows = db.execute(
        text(
            f"SELECT j.line, j.image_id, image.name,"
            f" CASE j.polarity WHEN 'positive' THEN node.positive_name ELSE node.negative_name END,"
            f" j.polarity, j.state, j.stands"
            f" FROM ({_JUDGED}) AS j JOIN image ON image.id = j.image_id JOIN node ON node.id = j.node_id"
            f" WHERE effect = 'contradicting' ORDER BY j.line LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [Against(*row) for row in rows]


def find_twice(db: Session, *, limit: int) -> list[tuple[int, int]]:
    """Lines of the file that say different things of one label: the first and the last of each."""
    rows = db.execute(
        text(
            "SELECT min(line), max(line) FROM incoming GROUP BY image_id, node_id, polarity"
            " HAVING min(state) <> max(state) ORDER BY 1 LIMIT :limit"
        ),
        {"limit": limit},
    )
    return [(first, last) for first, last in rows]


# Storing ----------------------------------------------------------------------------------------

# One statement for any number of labels. All its parts see the tables as they were before, and the images
# are locked, so their revisions hold still. What a line did once it does not do again: `operation_id`
# stands for file and line.
_TAKE = f"""
    WITH acting AS (
        SELECT DISTINCT ON (image_id, node_id, polarity) j.*, coalesce(j.at, now()) AS decided_at,
               md5(CAST(:file AS text) || ' ' || line || ' ' || image_id || ' ' || node_id || ' ' || polarity)::uuid
                   AS operation_id
        FROM ({_JUDGED}) AS j
        WHERE effect IN ('new', 'decides') OR (effect = 'contradicting' AND :replace)
        ORDER BY image_id, node_id, polarity, line
    ), fresh AS (
        SELECT a.*, image.project_id, image.label_revision + 1 AS revision
        FROM acting AS a JOIN image ON image.id = a.image_id
        WHERE NOT EXISTS (SELECT 1 FROM label_event AS e WHERE e.operation_id = a.operation_id)
    ), made AS (
        INSERT INTO label (
            project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id,
            measure, value, threshold, confidence, evidence, revision, decided_by, decided_at
        )
        SELECT project_id, image_id, node_id, polarity, state, source, agent_run_id, :version_id,
               measure, value, threshold, confidence, evidence, revision,
               CASE WHEN state <> 'proposed' THEN person_id END,
               CASE WHEN state <> 'proposed' THEN decided_at END
        FROM fresh WHERE effect = 'new'
    ), changed AS (
        UPDATE label SET state = f.state, decided_by = f.person_id, decided_at = f.decided_at,
               revision = f.revision, version_id = :version_id, bulk_action_id = NULL
        FROM fresh AS f WHERE label.id = f.label_id
    ), raised AS (
        UPDATE image SET label_revision = label_revision + 1
        WHERE id IN (SELECT image_id FROM fresh)
    ), event AS (
        SELECT 1 AS step, image_id, node_id, polarity, NULL AS before, 'proposed' AS after, revision,
               NULL::bigint AS person_id, agent_run_id,
               CASE WHEN state = 'proposed' THEN operation_id END AS operation_id, now() AS at
        FROM fresh WHERE effect = 'new' AND source = 'agent'
        UNION ALL
        SELECT 2, image_id, node_id, polarity,
               CASE WHEN effect <> 'new' THEN stands WHEN source = 'agent' THEN 'proposed' END, state,
               revision, person_id, NULL, operation_id, decided_at
        FROM fresh WHERE state <> 'proposed' OR source <> 'agent'
    ), told AS (
        INSERT INTO label_event (
            image_id, node_id, polarity, kind, before, after, image_revision, person_id, agent_run_id,
            version_id, operation_id, import_id, at
        )
        SELECT image_id, node_id, polarity, 'import', before, after, revision, person_id, agent_run_id,
               :version_id, operation_id, :import_id, at
        FROM event ORDER BY image_id, node_id, polarity, step
    )
    SELECT effect, CASE WHEN effect = 'new' THEN agent_run_id END, image_id, count(*)
    FROM fresh GROUP BY 1, 2, 3
"""


def take_in(
    db: Session,
    project: Project,
    labels: Sequence[Incoming],
    *,
    version_id: int,
    import_id: int,
    file_sha256: str,
    replace: bool,
) -> Taken:
    """Store labels of a file under the version in force, and return what that changed.

    Each changed image's label revision rises by one; an image that was done is open again where an agent's
    proposal is new to it. What contradicts a decision is left out, or with `replace` takes its place. The
    same lines of the same file again change nothing, so a killed import may start over. Images that are not
    in use any more are left out. Raises Conflict where another version is in force by now.
    """
    hold_labels(db, project)
    _refuse_other_version(db, project, version_id)
    held = _lock(db, project, {each.image_id for each in labels})
    begin_incoming(db)
    add_incoming(db, (each for each in labels if each.image_id in held))
    db.execute(text("ANALYZE incoming"))
    given = {"file": file_sha256, "replace": replace, "version_id": version_id}
    rows = db.execute(text(_TAKE), given | {"import_id": import_id}).all()
    db.execute(text("DROP TABLE incoming"))
    counts: dict[Effect, int] = dict.fromkeys(EFFECTS, 0)
    by_run: dict[int, dict[int, int]] = {}
    for effect, run_id, image_id, number in rows:
        counts[effect] += number
        if run_id is not None:
            by_run.setdefault(run_id, {})[image_id] = number
    for run_id, images in by_run.items():
        bring_back(db, sorted(images), agent_run_id=run_id, version_id=version_id)
    # These statements changed rows that this session may hold.
    for each in list(db.identity_map.values()):
        if isinstance(each, (Image, Label)):
            db.expire(each)
    return Taken(counts, by_run)


def _refuse_other_version(db: Session, project: Project, version_id: int) -> None:
    in_force = find_in_force(db, project)
    if in_force is None or in_force.version_id != version_id:
        raise Conflict(
            "The criteria were published again since this file was looked at.",
            hint="Look at what it would change now, then import it.",
        )


def _lock(db: Session, project: Project, image_ids: set[int]) -> set[int]:
    """The ids of those in use, locked in the order of their ids, as every writer of labels does."""
    return set(
        db.scalars(
            select(Image.id)
            .where(Image.id == func.any(list(image_ids)), Image.project_id == project.id, in_use())
            .order_by(Image.id)
            .with_for_update(key_share=True)
        )
    )

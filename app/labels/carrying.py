"""What a publication does to the labels of attributes that were merged, split, redefined or given back.

Each verb is a handful of statements over all images at once, in the transaction of the publication. Each
image where something changes gets one event that tells of every place, with the labels whole as they stood
before, and its label revision rises by one. Polarities stay.

A hundred thousand labels at once: whatever is written for each costs, a foreign key's look-up most.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.images.models import Image
from app.labels.models import Carrying, Label

MAX_EVIDENCE = 600
# Everything a label says, without its id.
_COLUMNS = ", ".join(each.name for each in Label.__table__.columns if each.name != "id")


@dataclass(frozen=True, slots=True)
class Step:
    """One change of the criteria that a publication carries out on labels, and who published.

    `names` has, by node id, what the positive and the negative attribute were called.
    """

    change_id: int
    version_id: int
    by: Person
    names: Mapping[int, tuple[str, str]]


def merge_labels(db: Session, step: Step, sources: Sequence[int], target: int) -> int:
    """Carry the labels of the sources over to the target; returns how many places changed.

    Of several labels of one image a confirmed one counts most. Where one was confirmed and another
    rejected, nobody is overruled: it is proposed, with that as the evidence, and the image is open again.
    """
    values = {"sources": list(sources), "target": target}
    _make_room(db)
    for statement in _MERGE:
        _execute(db, step, statement, values)
    _tell(db, step, "merge")
    return int(db.scalar(text("SELECT count(*) FROM ranked")) or 0)


def review_labels(
    db: Session, step: Step, source: int, targets: Sequence[int], *, kind: str
) -> int:
    """Take the labels of a split or redefined attribute away and propose what took its place, so that
    each is looked at again; returns how many places changed. What was rejected is not proposed, and its
    image is open again too.
    """
    values = {"source": source, "targets": list(targets)}
    changed = _begin(db, step, _REVIEW_PLACES, values)
    for statement in _REVIEW:
        _execute(db, step, statement, values | {"kind": kind})
    _end(db, step, kind)
    return changed


def return_labels(
    db: Session,
    step: Step,
    *,
    given_in: int,
    came_back: Sequence[int],
    left: Sequence[int],
    stayed: Sequence[int],
    standing: Sequence[int],
) -> int:
    """Set labels back as they stood before the publication `given_in` carried out this change.

    `came_back` are the nodes that are in the tree again, `left` those that are not any more, `stayed` what
    labels were merged into and is still there; `standing` are the versions whose own merges and splits
    still hold. What was decided since counts: it stays where its node
    stayed; of a node that left it is proposed for those that came back, unless they say the same.
    Returns how many places changed.
    """
    values: dict[str, object] = {
        "given_in": given_in,
        "came_back": list(came_back),
        "gone": list(left),
        "stayed": list(stayed),
        "standing": list(standing),
    }
    db.flush()
    db.execute(text("DROP TABLE IF EXISTS pg_temp.given"))
    _execute(db, step, _GIVEN, values | {"change_id": step.change_id})
    changed = _begin(db, step, _RETURN_PLACES, values)
    for statement in _RETURN:
        _execute(db, step, statement, values)
    _end(db, step, "return")
    return changed


# What every verb begins and ends with ---------------------------------------------------------

_STOOD = (
    "ANALYZE place",
    # In the order of their ids, as every writer of labels does.
    """
    SELECT count(*) FROM (
        SELECT id FROM image WHERE id IN (SELECT image_id FROM place) ORDER BY id FOR NO KEY UPDATE
    ) AS held
    """,
    # Every place that may change, with what stood there and the revision that the image is given.
    """
    CREATE TEMP TABLE stood ON COMMIT DROP AS
    SELECT p.image_id, p.node_id, p.polarity, l.id, l.state, l.revision, i.label_revision + 1 AS next,
           CASE WHEN l.id IS NOT NULL THEN row_to_json(l) END AS label
    FROM place AS p JOIN image AS i ON i.id = p.image_id
    LEFT JOIN label AS l USING (image_id, node_id, polarity)
    """,
    "ANALYZE stood",
)

_CHANGED = """
    CREATE TEMP TABLE changed ON COMMIT DROP AS
    SELECT s.image_id, min(s.next) AS next,
           jsonb_agg(jsonb_build_array(s.node_id, s.polarity, s.state, l.state)) AS places,
           json_agg(s.label) FILTER (WHERE s.id IS NOT NULL) AS stood
    FROM stood AS s LEFT JOIN label AS l USING (image_id, node_id, polarity)
    WHERE (s.state, s.revision) IS DISTINCT FROM (l.state, l.revision)
    GROUP BY s.image_id
"""

_EVENTS = (
    """
    INSERT INTO label_event (image_id, kind, places, stood, image_revision, carrying_id)
    SELECT image_id, :kind, places, stood, next, :carrying_id FROM changed ORDER BY image_id
    """,
    """
    UPDATE image SET label_revision = label_revision + 1 FROM changed WHERE image.id = changed.image_id
    """,
    # What was decided and is not any more has to be looked at, and so has what is new.
    """
    WITH opened AS (
        UPDATE image SET done_at = NULL, done_by = NULL, came_back_at = clock_timestamp(),
            label_revision = label_revision + 1
        FROM changed
        WHERE image.id = changed.image_id AND done_at IS NOT NULL
            AND (:kind IN ('split', 'redefine') OR EXISTS (
                SELECT FROM jsonb_array_elements(changed.places) AS place GROUP BY place ->> 1
                HAVING bool_or(place ->> 2 <> 'proposed') AND bool_or(place ->> 3 = 'proposed')
                    AND NOT bool_or(place ->> 3 <> 'proposed')
            ))
        RETURNING image.id, image.label_revision
    )
    INSERT INTO label_event (image_id, kind, before, image_revision, person_id, version_id)
    SELECT id, 'reopen', 'done', label_revision, :person_id, :version_id FROM opened
    """,
)


def _execute(db: Session, step: Step, statement: str, values: Mapping[str, object]) -> None:
    known = {
        "version_id": step.version_id,
        "person_id": step.by.id,
        "names": json.dumps(
            [
                {"node_id": node_id, "polarity": polarity, "name": name}
                for node_id, both in step.names.items()
                for polarity, name in zip(("positive", "negative"), both, strict=True)
            ]
        ),
        **values,
    }
    named = {name: value for name, value in known.items() if f":{name}" in statement}
    db.execute(text(statement), named)


def _make_room(db: Session) -> None:
    db.flush()
    # Rows of a hundred thousand labels are joined and sorted in memory, until this transaction ends.
    db.execute(text("SET LOCAL work_mem = '64MB'"))
    for table in ("place", "stood", "held", "ranked", "changed"):
        db.execute(text(f"DROP TABLE IF EXISTS pg_temp.{table}"))


def _begin(db: Session, step: Step, places: str, values: Mapping[str, object]) -> int:
    _make_room(db)
    _execute(db, step, f"CREATE TEMP TABLE place ON COMMIT DROP AS {places}", values)
    for statement in _STOOD:
        _execute(db, step, statement, values)
    return int(db.scalar(text("SELECT count(*) FROM stood WHERE id IS NOT NULL")) or 0)


def _end(db: Session, step: Step, kind: str) -> None:
    """Find out what changed of what stood, then tell it."""
    _execute(db, step, _CHANGED, {})
    _tell(db, step, kind)


def _tell(db: Session, step: Step, kind: str) -> None:
    made = Carrying(
        change_id=step.change_id, version_id=step.version_id, person_id=step.by.id, kind=kind
    )
    db.add(made)
    db.flush()
    for statement in _EVENTS:
        _execute(db, step, statement, {"kind": kind, "carrying_id": made.id})
    for held in list(db.identity_map.values()):
        if isinstance(held, (Image, Label)):
            db.expire(held)


# Merging -------------------------------------------------------------------------------------

_MERGE = (
    # In the order of their ids, as every writer of labels does.
    """
    CREATE TEMP TABLE held ON COMMIT DROP AS
    SELECT id AS image_id, label_revision + 1 AS next FROM image
    WHERE id IN (SELECT image_id FROM label WHERE node_id = ANY(:sources))
    ORDER BY id FOR NO KEY UPDATE
    """,
    "ANALYZE held",
    # The label that goes on is the best of its image and side: confirmed before unsure before proposed before
    # rejected, then the latest. Sides of the target on which nothing comes to it are left alone.
    """
    CREATE TEMP TABLE ranked ON COMMIT DROP AS
    SELECT *, CASE WHEN is_disputed THEN 'proposed' ELSE goes_on END AS stands FROM (
        SELECT l.id, l.image_id, l.node_id, l.polarity, l.state, h.next, row_to_json(l) AS label,
               row_number() OVER best AS place, first_value(l.state) OVER best AS goes_on,
               bool_or(l.state = 'confirmed') OVER side AND bool_or(l.state = 'rejected') OVER side AS is_disputed,
               bool_or(l.node_id = :target) OVER side AS is_there, bool_or(l.node_id <> :target) OVER side AS comes
        FROM held AS h JOIN label AS l USING (image_id)
        WHERE l.node_id = ANY(CAST(:sources AS bigint[]) || CAST(:target AS bigint))
        WINDOW side AS (PARTITION BY l.image_id, l.polarity), best AS (
            PARTITION BY l.image_id, l.polarity
            ORDER BY array_position(ARRAY['confirmed', 'unsure', 'proposed', 'rejected'], l.state::text),
                     l.decided_at DESC NULLS LAST, l.agent_run_id DESC NULLS LAST, l.id
        )
    ) AS each WHERE comes
    """,
    "ANALYZE ranked",
    "DELETE FROM label WHERE id IN (SELECT id FROM ranked WHERE place > 1)",
    """
    UPDATE label SET node_id = :target, version_id = :version_id, revision = r.next
    FROM ranked AS r WHERE r.id = label.id AND r.place = 1 AND NOT r.is_disputed
    """,
    f"""
    UPDATE label SET node_id = :target, version_id = :version_id, revision = r.next, state = 'proposed',
        source = 'criteria', agent_run_id = NULL, decided_by = NULL, decided_at = NULL,
        bulk_action_id = NULL, measure = NULL, value = NULL, threshold = NULL, confidence = NULL,
        evidence = left('Merged from attributes that disagree here: ' || why.names || '.', {MAX_EVIDENCE})
    FROM ranked AS r JOIN (
        SELECT d.image_id, d.polarity,
               string_agg('“' || n.name || '” was ' || d.state, ', ' ORDER BY d.place) AS names
        FROM ranked AS d JOIN jsonb_to_recordset(CAST(:names AS jsonb))
            AS n(node_id bigint, polarity text, name text) USING (node_id, polarity)
        WHERE d.is_disputed GROUP BY d.image_id, d.polarity
    ) AS why USING (image_id, polarity)
    WHERE r.id = label.id AND r.place = 1 AND r.is_disputed
    """,
    # What stood at each place and what stands now follows from what was ranked.
    """
    CREATE TEMP TABLE changed ON COMMIT DROP AS
    SELECT image_id, min(next) AS next,
           jsonb_agg(jsonb_build_array(node_id, polarity, before, after)) AS places,
           json_agg(label) FILTER (WHERE label IS NOT NULL) AS stood
    FROM (
        SELECT image_id, next, node_id, polarity, state AS before, label,
               CASE WHEN node_id = :target THEN stands END AS after
        FROM ranked
        UNION ALL
        SELECT image_id, next, CAST(:target AS bigint), polarity, NULL, NULL, stands
        FROM ranked WHERE place = 1 AND NOT is_there
    ) AS each GROUP BY image_id
    """,
)


# Splitting and redefining --------------------------------------------------------------------

_REVIEW_PLACES = """
    SELECT image_id, node_id, polarity FROM label WHERE node_id = :source
    UNION SELECT image_id, target, polarity
    FROM label, unnest(CAST(:targets AS bigint[])) AS target WHERE node_id = :source
"""

_REVIEW = (
    f"""
    INSERT INTO label (
        project_id, image_id, node_id, polarity, state, source, version_id, revision, evidence
    )
    SELECT l.project_id, l.image_id, target, l.polarity, 'proposed', 'criteria', :version_id, s.next,
           left('“' || n.name || '” was ' || l.state || ' here before it was '
               || CASE WHEN :kind = 'split' THEN 'split.' ELSE 'given another meaning.' END,
               {MAX_EVIDENCE})
    FROM stood AS s JOIN label AS l ON l.id = s.id
    JOIN jsonb_to_recordset(CAST(:names AS jsonb)) AS n(node_id bigint, polarity text, name text)
        ON n.node_id = l.node_id AND n.polarity = l.polarity
    CROSS JOIN unnest(CAST(:targets AS bigint[])) AS target
    WHERE l.node_id = :source AND l.state <> 'rejected'
    ON CONFLICT (image_id, node_id, polarity) DO NOTHING
    """,
    "DELETE FROM label WHERE node_id = :source",
)


# Giving back ---------------------------------------------------------------------------------

# How labels of these nodes stood before the publication that is taken back.
_GIVEN = """
    CREATE TEMP TABLE given ON COMMIT DROP AS
    SELECT e.image_id, e.image_revision AS revision, place.node_id, place.polarity, label
    FROM carrying AS c JOIN label_event AS e ON e.carrying_id = c.id
    CROSS JOIN LATERAL json_array_elements(e.stood) AS label
    CROSS JOIN LATERAL json_to_record(label) AS place(node_id bigint, polarity text)
    WHERE c.change_id = :change_id AND c.version_id = :given_in
        AND place.node_id = ANY(CAST(:came_back AS bigint[]) || CAST(:stayed AS bigint[]))
"""

_RETURN_PLACES = """
    SELECT image_id, node_id, polarity FROM given
    UNION SELECT image_id, n, polarity FROM given, unnest(CAST(:stayed AS bigint[])) AS n
    UNION SELECT image_id, node_id, polarity FROM label WHERE node_id = ANY(:gone)
    UNION SELECT image_id, n, polarity FROM label, unnest(CAST(:came_back AS bigint[])) AS n
    WHERE node_id = ANY(:gone)
"""

_RETURN = (
    # Labels where something happened since are told from those that are as the publication left them. What
    # this publication gave back already, as the last of several changes, is as it was; unless it asks.
    "DROP TABLE IF EXISTS pg_temp.since",
    """
    CREATE TEMP TABLE since ON COMMIT DROP AS
    SELECT l.id, l.project_id, l.image_id, l.node_id, l.polarity, l.state
    FROM stood AS s JOIN label AS l ON l.id = s.id
    LEFT JOIN (SELECT image_id, max(revision) AS revision FROM given GROUP BY image_id) AS g
        ON g.image_id = l.image_id
    WHERE l.node_id = ANY(CAST(:gone AS bigint[]) || CAST(:stayed AS bigint[])) AND (
        g.revision IS NULL
        OR l.source = 'criteria' AND l.version_id = :version_id
        OR EXISTS (
            SELECT FROM label_event AS e WHERE e.image_id = l.image_id AND e.image_revision > g.revision
                AND e.kind <> 'return' AND (
                    e.node_id = l.node_id AND e.polarity = l.polarity
                    OR e.carrying_id IN (SELECT id FROM carrying WHERE version_id = ANY(:standing))
                        AND EXISTS (
                            SELECT FROM jsonb_array_elements(e.places) AS place
                            WHERE place -> 0 = to_jsonb(l.node_id) AND place ->> 1 = l.polarity
                                AND place ->> 3 IS NOT NULL
                        )
                )
        )
    )
    """,
    """
    DELETE FROM label WHERE id IN (SELECT id FROM stood) AND (
        node_id = ANY(:gone)
        OR node_id = ANY(:stayed) AND id NOT IN (SELECT id FROM since)
    )
    """,
    f"""
    INSERT INTO label ({_COLUMNS})
    SELECT {", ".join(f"r.{each}" for each in _COLUMNS.split(", "))}
    FROM given AS g JOIN stood AS s USING (image_id, node_id, polarity)
    CROSS JOIN LATERAL jsonb_populate_record(
        NULL::label, CAST(g.label AS jsonb) || jsonb_build_object('revision', s.next)
    ) AS r
    ON CONFLICT (image_id, node_id, polarity) DO NOTHING
    """,
    # What came back decided, while what it had become was decided otherwise since.
    f"""
    UPDATE label SET state = 'proposed', source = 'criteria', agent_run_id = NULL, decided_by = NULL,
        decided_at = NULL, bulk_action_id = NULL, version_id = :version_id, measure = NULL, value = NULL, threshold = NULL,
        confidence = NULL, evidence = left('Was ' || label.state || ' before; what it had become was '
            || d.states || ' since.', {MAX_EVIDENCE})
    FROM (
        SELECT image_id, polarity, string_agg(DISTINCT state, ', ') AS states, array_agg(state) AS all_states
        FROM since WHERE node_id = ANY(:gone) AND state <> 'proposed' GROUP BY image_id, polarity
    ) AS d
    WHERE label.node_id = ANY(:came_back) AND d.image_id = label.image_id
        AND d.polarity = label.polarity AND label.state <> 'proposed'
        AND label.state <> ALL(d.all_states)
        AND (label.image_id, label.node_id, label.polarity) IN (
            SELECT image_id, node_id, polarity FROM stood
        )
    """,
    # What was said since of a node that left, and of nothing that came back, is asked of those.
    f"""
    INSERT INTO label (
        project_id, image_id, node_id, polarity, state, source, version_id, revision, evidence
    )
    SELECT DISTINCT ON (e.image_id, n, e.polarity)
           e.project_id, e.image_id, n, e.polarity, 'proposed', 'criteria', CAST(:version_id AS bigint),
           s.next, left('“' || named.name || '” was ' || e.state || ' here; it was taken back.',
               {MAX_EVIDENCE})
    FROM since AS e
    CROSS JOIN unnest(CAST(:came_back AS bigint[])) AS n
    JOIN stood AS s ON s.image_id = e.image_id AND s.node_id = n AND s.polarity = e.polarity
    JOIN jsonb_to_recordset(CAST(:names AS jsonb)) AS named(node_id bigint, polarity text, name text)
        ON named.node_id = e.node_id AND named.polarity = e.polarity
    WHERE e.node_id = ANY(:gone) AND e.state <> 'rejected'
    ORDER BY e.image_id, n, e.polarity, e.state
    ON CONFLICT (image_id, node_id, polarity) DO NOTHING
    """,
)

"""Counts are those of the labels and images that an installation has when it comes to keep them."""

from sqlalchemy import Engine, text
from sqlalchemy.orm import Session

from app.labels.recounting import find_drift
from tests.app.migrating import fill, go

FILLED = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO person (name, email) VALUES ('Ada', 'ada@example.org');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 3 FROM project;
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT id, 'form', 'dimension', 1, 'Form', '', false FROM project;
    INSERT INTO node (project_id, parent_id, key, kind, position, relation, positive_name,
        positive_definition, negative_name, negative_definition)
        SELECT n.project_id, n.id, k.key, 'pair', 1, 'opposed', 'a', '', 'b', ''
        FROM node AS n, unnest(ARRAY['grip', 'mass']) AS k(key);
    INSERT INTO pair_need (node_id, content) SELECT id, 'hands' FROM node WHERE key = 'grip';
    INSERT INTO criteria_version (project_id, number, sha256, content, working_revision)
        SELECT id, 1, repeat('1', 64), '{}', 1 FROM project;
    INSERT INTO agent_run (project_id, agent, agent_version, version_id)
        SELECT project_id, 'measured', '1', id FROM criteria_version;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes, label_revision, done_at, state, state_at, state_reason)
        SELECT p.id, encode(sha256(n::text::bytea), 'hex'), n || '.png', 'PNG', 1, 1, 1, 1,
            CASE WHEN n <= 6 THEN now() END, CASE WHEN n = 10 THEN 'aside' ELSE 'used' END,
            CASE WHEN n = 10 THEN now() END, CASE WHEN n = 10 THEN 'a scan' ELSE '' END
        FROM project AS p, generate_series(1, 10) AS n;
    INSERT INTO image_trait (image_id, kind, value, source, present, person_id)
        SELECT i.id, 'content', 'hands', 'person', false, p.id FROM image AS i, person AS p WHERE i.name IN ('1.png', '7.png');
    INSERT INTO label (project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id, revision)
        SELECT i.project_id, i.id, n.id, 'positive', CASE WHEN i.done_at IS NULL THEN 'proposed' ELSE 'confirmed' END,
            'agent', r.id, r.version_id, 1
        FROM image AS i, node AS n, agent_run AS r WHERE n.kind = 'pair'
"""
COUNTED = """
    SELECT n.key, c.state, c.lacking, sum(c.num) FROM label_count AS c JOIN node AS n ON n.id = c.node_id
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""


def counts(engine: Engine) -> list[tuple[object, ...]]:
    with engine.begin() as connection:
        return [tuple(each) for each in connection.execute(text(COUNTED))]


def test_a_filled_installation_is_counted_and_kept_from_then_on(old: Engine) -> None:
    go(old, "0028")
    fill(old, FILLED)
    go(old, "head")
    assert counts(old) == [
        ("grip", "confirmed", False, 5),
        ("grip", "confirmed", True, 1),
        ("grip", "proposed", False, 2),
        ("grip", "proposed", True, 1),
        ("mass", "confirmed", False, 6),
        ("mass", "proposed", False, 3),
    ]
    with old.begin() as connection:
        found = connection.execute(text("SELECT used, done, undone, aside, asked FROM image_count"))
        assert [tuple(each) for each in found] == [(9, 6, 3, 1, 3)]
        connection.execute(text("UPDATE label SET state = 'rejected' WHERE state = 'proposed'"))
        connection.execute(text("DELETE FROM image_trait"))
    with Session(old) as db:
        assert not any(each.groups for each in find_drift(db))
    go(old, "0028", down=True)
    with old.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM label")) == 20
        connection.execute(text("UPDATE image SET done_at = now()"))  # no trigger is left behind
    go(old, "head")
    with Session(old) as db:
        assert not any(each.groups for each in find_drift(db))


def test_counting_without_grouping_first_counts_the_same_and_goes_back(old: Engine) -> None:
    written = text("SELECT pg_get_functiondef('count_label_update()'::regprocedure)")
    go(old, "0028")
    fill(old, FILLED)
    go(old, "0051")
    with old.begin() as connection:
        before = connection.scalar(written)
    go(old, "0052")
    with old.begin() as connection:
        # What only gets another revision cancels out, what changes sides does not, and what goes is gone.
        connection.execute(text("UPDATE label SET revision = revision + 1"))
        connection.execute(
            text(
                "UPDATE label SET polarity = 'negative', state = 'rejected' WHERE image_id % 2 = 0"
            )
        )
        connection.execute(text("DELETE FROM label WHERE image_id % 3 = 0"))
    with Session(old) as db:
        assert not any(each.groups for each in find_drift(db))
    go(old, "0051", down=True)
    with old.begin() as connection:
        assert connection.scalar(written) == before

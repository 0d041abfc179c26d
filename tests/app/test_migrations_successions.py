"""Changes and predecessors of older installations stay, and merges are not lost going back."""

import pytest
from sqlalchemy import Connection, Engine, text

from tests.app.migrating import go

OLD = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 3 FROM project;
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT p.id, each, 'dimension', 1, each, '', false FROM project AS p, unnest(ARRAY['a', 'b', 'c']) AS each;
    INSERT INTO node_change (project_id, revision, kind, after) SELECT id, 1, 'loaded', '{}' FROM project;
    INSERT INTO node_change (project_id, revision, node_id, kind, before, after)
        SELECT project_id, 2, id, 'renamed', '{"name": "x"}', '{"name": "b"}' FROM node WHERE key = 'b';
    INSERT INTO node_change (project_id, revision, node_id, kind, before, after, undoes)
        SELECT project_id, 3, id, 'undo', '{"name": "b"}', '{"name": "x"}', 2 FROM node WHERE key = 'b';
    UPDATE node SET predecessor_id = (SELECT id FROM node WHERE key = 'a') WHERE key IN ('b', 'c')
"""
SUCCESSIONS = """
    SELECT o.key, n.key, s.place, s.kind, c.revision FROM node_succession AS s
    JOIN node AS o ON o.id = s.old_id JOIN node AS n ON n.id = s.new_id
    JOIN node_change AS c ON c.id = s.change_id ORDER BY s.place
"""


def run(connection: Connection, statements: str) -> None:
    for statement in statements.strip().split(";"):
        connection.execute(text(statement))


def test_changes_and_predecessors_go_up_and_down(old: Engine) -> None:
    go(old, "0017")
    with old.begin() as connection:
        run(connection, OLD)
    go(old, "head")
    with old.begin() as connection:
        found = [tuple(each) for each in connection.execute(text(SUCCESSIONS))]
        assert found == [("a", "b", 0, "split", 2), ("a", "c", 1, "split", 1)]
        changes = connection.execute(text("SELECT revision, part, undoes FROM node_change"))
        assert sorted(map(tuple, changes)) == [(1, 0, None), (2, 0, None), (3, 0, 2)]
    go(old, "0017", down=True)
    with old.begin() as connection:
        named = "SELECT count(*) FROM node WHERE predecessor_id IS NOT NULL"
        assert connection.scalar(text(named)) == 2
    go(old, "head")


def test_what_concerns_several_nodes_is_not_lost_going_back(old: Engine) -> None:
    go(old, "0017")
    with old.begin() as connection:
        run(connection, OLD)
    go(old, "head")
    with old.begin() as connection:
        run(
            connection,
            "INSERT INTO node_change (project_id, revision, part, node_id, kind)"
            " SELECT project_id, 4, place, id, 'merged' FROM node, generate_series(0, 1) AS place"
            " WHERE key = 'a'",
        )
    with pytest.raises(Exception, match="several nodes"):
        go(old, "0017", down=True)
    with old.begin() as connection, pytest.raises(Exception, match="uq_node_change"):
        run(
            connection,
            "INSERT INTO node_change (project_id, revision, part, kind)"
            " SELECT id, 4, 0, 'merged' FROM project",
        )


# A merge of two attributes under one image, and a done image that was opened again; as release 0034 wrote it.
TOLD_ONE_BY_ONE = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO person (name, email) VALUES ('Ada', 'ada@example.org');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 2 FROM project;
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT id, 'light', 'dimension', 1, 'Light', '', false FROM project;
    INSERT INTO node (project_id, key, kind, parent_id, position, relation, positive_name, negative_name,
                      positive_definition, negative_definition)
        SELECT n.project_id, each, 'pair', n.id, 1, 'opposed', 'High ' || each, 'Low ' || each, '', ''
        FROM node AS n, unnest(ARRAY['a', 'b', 'c']) AS each;
    INSERT INTO node_change (project_id, revision, kind, after)
        SELECT p.id, r, 'merged', '{}' FROM project AS p, generate_series(1, 2) AS r;
    INSERT INTO criteria_version (project_id, number, content, sha256, working_revision)
        SELECT p.id, v, '{}', repeat(v::text, 64), 0 FROM project AS p, generate_series(1, 2) AS v;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes, prompt, details, label_revision)
        SELECT p.id, encode(sha256(n::text::bytea), 'hex'), n || '.png', 'PNG', 1, 1, 1, '', '{}', 3
        FROM project AS p, generate_series(1, 2) AS n;
    INSERT INTO label_event (image_id, node_id, polarity, kind, before, after, image_revision, person_id, version_id)
        SELECT i.id, n.id, 'positive', e.kind, e.before, e.after, e.revision, p.id, v.id
        FROM (VALUES (1, 'a', 'add', NULL, 'confirmed', 1, 1), (2, 'b', 'add', NULL, 'rejected', 1, 1),
                     (3, 'a', 'merge', 'confirmed', NULL, 2, 2), (4, 'b', 'merge', 'rejected', NULL, 2, 2),
                     (5, 'c', 'merge', NULL, 'confirmed', 2, 2), (6, 'c', 'reject', 'confirmed', 'rejected', 3, 2))
            AS e(place, key, kind, before, after, revision, version)
        JOIN node AS n ON n.key = e.key JOIN criteria_version AS v ON v.number = e.version
        CROSS JOIN person AS p CROSS JOIN image AS i ORDER BY i.id, e.place;
    INSERT INTO label_before (change_id, version_id, image_id, node_id, polarity, revision, label)
        SELECT c.id, v.id, i.id, n.id, 'positive', 2, jsonb_build_object('node_id', n.id, 'state', n.key)
        FROM node AS n, image AS i, node_change AS c, criteria_version AS v
        WHERE n.key IN ('a', 'b') AND c.revision = 2 AND v.number = 2 AND i.name = '1.png' ORDER BY n.key;
    INSERT INTO label_before (change_id, version_id, image_id, node_id, polarity, revision, label)
        SELECT c.id, v.id, i.id, n.id, 'positive', 2, '{}' FROM node AS n, image AS i, node_change AS c,
            criteria_version AS v WHERE n.key = 'light' AND c.revision = 1 AND v.number = 2
"""
TOLD = """
    SELECT i.name, e.kind, e.after, (
        SELECT string_agg(concat_ws(' ', n.key, place ->> 1, coalesce(place ->> 2, '-'), coalesce(place ->> 3, '-')), ', ')
        FROM jsonb_array_elements(e.places) AS place JOIN node AS n ON n.id = CAST(place ->> 0 AS bigint)
    ), e.stood, c.kind, change.revision, v.number, p.name
    FROM label_event AS e JOIN image AS i ON i.id = e.image_id LEFT JOIN carrying AS c ON c.id = e.carrying_id
    LEFT JOIN node_change AS change ON change.id = c.change_id LEFT JOIN criteria_version AS v ON v.id = c.version_id
    LEFT JOIN person AS p ON p.id = c.person_id WHERE i.name = :name ORDER BY e.id
"""


def test_what_publications_told_label_by_label_is_told_by_image(old: Engine) -> None:
    go(old, "0034")
    with old.begin() as connection:
        run(connection, TOLD_ONE_BY_ONE)
    go(old, "head")
    places = "a positive confirmed -, b positive rejected -, c positive - confirmed"
    none = [None] * 6
    with old.begin() as connection:
        rows = connection.execute(text("SELECT key, id FROM node"))
        ids: dict[str, int] = {row.key: row.id for row in rows}
        kept = [{"node_id": ids[key], "state": key} for key in ("a", "b")]
        # Of the second image, as of one that was erased, nothing was kept.
        for name, stood in (("1.png", kept), ("2.png", None)):
            told = [tuple(each) for each in connection.execute(text(TOLD), {"name": name})]
            assert told == [
                (name, "add", "confirmed", *none),
                (name, "add", "rejected", *none),
                (name, "merge", None, places, stood, "merge", 2, 2, "Ada"),
                (name, "reject", "rejected", *none),
            ]
    with pytest.raises(Exception, match="tells of label by label"):
        go(old, "0034", down=True)


def test_an_installation_without_merges_goes_back(old: Engine) -> None:
    go(old, "head")
    go(old, "0034", down=True)
    go(old, "head")

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

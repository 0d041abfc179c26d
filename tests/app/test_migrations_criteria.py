"""Migrations of the criteria: working ones and published versions stay what they were."""

import pytest
from sqlalchemy import Connection, Engine, text

from tests.app.migrating import go


def fill(connection: Connection) -> None:
    """A project with a dimension and a pair, and a version of them."""
    statements = """
        INSERT INTO project (slug, name) VALUES ('old', 'Old');
        INSERT INTO criteria (project_id, name) SELECT id, 'Old' FROM project;
        INSERT INTO node (project_id, key, kind, position, name, exclusive)
            SELECT id, 'edges', 'dimension', 0, 'Edges', false FROM project;
        INSERT INTO node (project_id, key, kind, parent_id, position, relation, positive_name,
                positive_definition, negative_name, negative_definition)
            SELECT project_id, 'clear', 'pair', id, 0, 'flaw', 'Clear', '', 'Blurred', '' FROM node
    """
    for statement in statements.split(";"):
        connection.execute(text(statement))


def test_nodes_say_nothing_more_until_somebody_says_it(old: Engine) -> None:
    go(old, "0014")
    with old.begin() as connection:
        fill(connection)
    go(old, "head")
    with old.begin() as connection:
        rows = connection.execute(
            text("SELECT key, relation, details FROM node ORDER BY key")
        ).all()
        assert [tuple(row) for row in rows] == [("clear", "flaw", {}), ("edges", None, {})]
        assert connection.scalar(text("SELECT details FROM criteria")) == {}
    go(old, "0014", down=True)
    with old.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM node")) == 2


@pytest.mark.parametrize(
    "said",
    [
        "UPDATE node SET relation = 'graded' WHERE kind = 'pair'",
        "UPDATE node SET details = jsonb_build_object('source', 'Ruskin')",
        "UPDATE criteria SET details = jsonb_build_object('content', jsonb_build_object())",
    ],
)
def test_what_the_older_release_cannot_say_is_not_lost(old: Engine, said: str) -> None:
    go(old, "head")
    with old.begin() as connection:
        fill(connection)
        connection.execute(text(said))
    with pytest.raises(Exception, match="say more than names and definitions"):
        go(old, "0014", down=True)

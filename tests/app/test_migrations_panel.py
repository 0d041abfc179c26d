"""Nodes, images and audits of older installations stay when notes and examples come, and those are not lost going back."""

import pytest
from sqlalchemy import Connection, Engine, text

from tests.app.migrating import go

BEFORE_NOTES = "0024"
OLD = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO person (email, name) VALUES ('ada@example.org', 'Ada');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 1 FROM project;
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT id, 'light', 'dimension', 1, 'Light', '', false FROM project;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes)
        SELECT id, encode(sha256('a'), 'hex'), 'a.png', 'PNG', 1, 1, 1 FROM project
"""
NOTE = """
    INSERT INTO discussion (project_id, node_id, started_by) SELECT n.project_id, n.id, p.id FROM node AS n, person AS p;
    INSERT INTO note (discussion_id, text, written_by) SELECT id, 'Is it?', started_by FROM discussion
"""
EXAMPLE = """
    INSERT INTO attribute_example (project_id, node_id, polarity, position, image_id, chosen_by)
        SELECT n.project_id, n.id, 'positive', 1, i.id, p.id FROM node AS n, image AS i, person AS p
"""


def run(connection: Connection, statements: str) -> None:
    for statement in statements.strip().split(";"):
        connection.execute(text(statement))


def test_what_was_there_stays(old: Engine) -> None:
    go(old, BEFORE_NOTES)
    with old.begin() as connection:
        run(connection, OLD)
    go(old, "head")
    with old.begin() as connection:
        assert connection.scalar(text("SELECT key FROM node")) == "light"
        run(connection, NOTE)
        assert connection.scalar(text("SELECT revision FROM note")) == 1
    with old.begin() as connection:
        run(connection, "DELETE FROM note; DELETE FROM discussion")
    go(old, BEFORE_NOTES, down=True)
    with old.begin() as connection:
        assert connection.scalar(text("SELECT name FROM image")) == "a.png"


@pytest.mark.parametrize(
    ("written", "said"), [(NOTE, "notes at nodes"), (EXAMPLE, "examples of attributes")]
)
def test_what_people_wrote_is_not_lost_going_back(old: Engine, written: str, said: str) -> None:
    go(old, "head")
    with old.begin() as connection:
        run(connection, OLD)
        run(connection, written)
    with pytest.raises(Exception, match=said):
        go(old, BEFORE_NOTES, down=True)

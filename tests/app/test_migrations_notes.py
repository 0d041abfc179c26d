"""Notes of older installations stay when notes on images come, up and down."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from tests.app.migrating import go
from tests.app.test_migrations_queue import OLD, run

BEFORE = "0042"
NOTE = """
    INSERT INTO discussion (project_id, node_id, started_by) SELECT n.project_id, n.id, p.id FROM node AS n, person AS p;
    INSERT INTO note (discussion_id, text, written_by) SELECT d.id, 'Is it?', d.started_by FROM discussion AS d
"""
ON_IMAGE = """
    INSERT INTO discussion (project_id, image_id, started_by) SELECT i.project_id, i.id, p.id
        FROM image AS i, person AS p WHERE i.name = '1.png';
    INSERT INTO mention (note_id, person_id, project_id) SELECT n.id, n.written_by, p.id FROM note AS n, project AS p
"""


def test_notes_stay(old: Engine) -> None:
    go(old, BEFORE)
    with old.begin() as connection:
        run(connection, OLD)
        run(connection, NOTE)
    for way in ("head", BEFORE, "head"):
        go(old, way, down=way == BEFORE)
        with old.begin() as connection:
            assert connection.scalars(text("SELECT text FROM note")).all() == ["Is it?"]
            assert connection.scalar(text("SELECT count(node_id) FROM discussion")) == 1
    with old.begin() as connection:
        run(connection, ON_IMAGE)
    with pytest.raises(DBAPIError, match="there are notes on images"):
        go(old, BEFORE, down=True)

"""Labels and their history of older installations stay when imports and webhooks come; what only those hold is not lost going back."""

import pytest
from sqlalchemy import Engine, text

from tests.app.migrating import go
from tests.app.test_migrations_panel import run

BEFORE = "0030"
OLD = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO person (email, name) VALUES ('ada@example.org', 'Ada');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 1 FROM project;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes)
        SELECT id, encode(sha256('a'), 'hex'), 'a.png', 'PNG', 1, 1, 1 FROM project;
    INSERT INTO label_event (image_id, kind, after, image_revision, person_id)
        SELECT i.id, 'done', 'done', 1, p.id FROM image AS i, person AS p
"""
IMPORT = """
    INSERT INTO label_import (project_id, name, format, sha256, bytes, created_by)
        SELECT i.id, 'a.csv', 'csv', encode(sha256('b'), 'hex'), 1, p.id FROM project AS i, person AS p;
    INSERT INTO label_event (image_id, kind, after, image_revision, person_id, import_id)
        SELECT i.id, 'import', 'done', 2, p.id, l.id FROM image AS i, person AS p, label_import AS l
"""
WEBHOOK = """
    INSERT INTO webhook (project_id, address, kinds, secret, created_by)
        SELECT i.id, 'https://example.org', '{image.done}', 'whsec_', p.id FROM project AS i, person AS p
"""


@pytest.fixture
def filled(old: Engine) -> Engine:
    go(old, BEFORE)
    with old.begin() as connection:
        run(connection, OLD)
    go(old, "head")
    return old


def test_what_was_there_stays(filled: Engine) -> None:
    with filled.begin() as connection:
        assert connection.execute(text("SELECT kind, after, import_id FROM label_event")).one() == (
            "done",
            "done",
            None,
        )
    go(filled, BEFORE, down=True)
    go(filled, "head")
    with filled.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM label_event")) == 1


@pytest.mark.parametrize(
    ("written", "said"), [(IMPORT, "imported from files"), (WEBHOOK, "webhooks")]
)
def test_what_is_new_is_not_lost_going_back(filled: Engine, written: str, said: str) -> None:
    with filled.begin() as connection:
        run(connection, written)
    with pytest.raises(Exception, match=said):
        go(filled, BEFORE, down=True)

"""Labels of older installations, their history and their counts stay when bulk actions come, up and down."""

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from app.labels.recounting import find_drift
from tests.app.migrating import go
from tests.app.test_migrations_queue import OLD, run

BEFORE = "0039"
COUNTED = "SELECT state, sum(num) FROM label_count GROUP BY 1 HAVING sum(num) <> 0 ORDER BY 1"
IN_BULK = """
    INSERT INTO bulk_action (project_id, kind, node_id, polarity, query, replace, version_id, created_by)
        SELECT l.project_id, 'reject', l.node_id, 'positive', '', true, l.version_id, p.id FROM label AS l, person AS p;
    INSERT INTO bulk_image (bulk_action_id, image_id, effect, revision, contradictions, outcome)
        SELECT b.id, l.image_id, 'change', 1, 0, 'taken' FROM bulk_action AS b, label AS l;
    UPDATE label SET state = 'rejected', decided_by = b.created_by, bulk_action_id = b.id FROM bulk_action AS b;
    UPDATE image SET state = 'aside', state_at = now(), state_reason = 'scan' WHERE name = '1.png';
    UPDATE image SET state = 'used', state_at = NULL WHERE name = '1.png';
    UPDATE label SET bulk_action_id = NULL;
    UPDATE label SET bulk_action_id = b.id FROM bulk_action AS b
"""


@pytest.fixture
def filled(old: Engine) -> Engine:
    go(old, BEFORE)
    with old.begin() as connection:
        run(connection, OLD)
    return old


def test_counts_go_on_and_tell_bulk_apart(filled: Engine) -> None:
    for way in ("head", BEFORE, "head"):
        go(filled, way, down=way == BEFORE)
        with filled.begin() as connection:
            assert [tuple(each) for each in connection.execute(text(COUNTED))] == [("confirmed", 1)]
            assert connection.scalar(text("SELECT count(*) FROM label_event")) == 3
            # The triggers work in either release.
            run(
                connection,
                "UPDATE label SET state = 'rejected'; UPDATE label SET state = 'confirmed'",
            )
    with filled.begin() as connection:
        run(connection, IN_BULK)
        kept = connection.execute(
            text(COUNTED.replace("state,", "state, in_bulk,").replace("BY 1", "BY 1, 2"))
        )
        assert [tuple(each) for each in kept] == [("rejected", True, 1)]
    with Session(filled) as db:
        assert not any(each.groups for each in find_drift(db))
    with pytest.raises(DBAPIError, match="there are bulk actions"):
        go(filled, BEFORE, down=True)
    with filled.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM bulk_image")) == 1

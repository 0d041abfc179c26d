"""Labels, marks and work of older installations stay when unsure labels and the queue come, up and down."""

import pytest
from sqlalchemy import Connection, Engine, text

from tests.app.migrating import go

BEFORE = "0032"
OLD = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO person (email, name) VALUES ('ada@example.org', 'Ada');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 1 FROM project;
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT id, 'light', 'dimension', 1, 'Light', '', false FROM project;
    INSERT INTO criteria_version (project_id, number, content, sha256, note, working_revision)
        SELECT id, 1, '{}', repeat('0', 64), '', 1 FROM project;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes)
        SELECT p.id, encode(sha256(n::text::bytea), 'hex'), n || '.png', 'PNG', 1, 1, 1
        FROM project AS p, generate_series(1, 4) AS n;
    UPDATE image SET done_at = now() WHERE name IN ('2.png', '3.png');
    UPDATE image SET came_back_at = now() WHERE name = '3.png';
    UPDATE image SET state = 'aside', state_at = now(), state_reason = 'scan' WHERE name = '4.png';
    INSERT INTO label (project_id, image_id, node_id, polarity, state, source, version_id, revision)
        SELECT i.project_id, i.id, n.id, 'positive', 'confirmed', 'person', v.id, 1
        FROM image AS i, node AS n, criteria_version AS v WHERE i.name = '1.png';
    INSERT INTO label_event (image_id, node_id, polarity, kind, after, image_revision, person_id, version_id)
        SELECT l.image_id, l.node_id, 'positive', 'add', 'confirmed', 1, p.id, l.version_id FROM label AS l, person AS p;
    INSERT INTO label_event (image_id, kind, after, image_revision, person_id)
        SELECT i.id, 'done', 'done', 1, p.id FROM image AS i, person AS p WHERE i.done_at IS NOT NULL;
    INSERT INTO image_lease (image_id, person_id, until) SELECT i.id, p.id, now() FROM image AS i, person AS p WHERE i.name = '1.png'
"""
WAITING = (
    "SELECT i.name FROM waiting_image AS w JOIN image AS i ON i.id = w.image_id ORDER BY i.name"
)
UNSURE = """
    INSERT INTO label_event (image_id, node_id, polarity, kind, before, after, image_revision, person_id, version_id)
        SELECT image_id, node_id, polarity, 'doubt', 'confirmed', 'unsure', 2, person_id, version_id
        FROM label_event WHERE node_id IS NOT NULL;
    UPDATE label SET state = 'unsure'
"""
GIVEN = """
    INSERT INTO assignment (project_id, person_id, show, words, strategy, num_images, given_by)
        SELECT project.id, person.id, 'undone', '', 'id', 1, person.id FROM project, person
"""


def run(connection: Connection, statements: str) -> None:
    for statement in statements.strip().split(";"):
        connection.execute(text(statement))


@pytest.fixture
def filled(old: Engine) -> Engine:
    go(old, BEFORE)
    with old.begin() as connection:
        run(connection, OLD)
    return old


def test_what_waited_waits_and_what_was_done_is_counted(filled: Engine) -> None:
    for way in ("head", BEFORE, "head"):
        go(filled, way, down=way == BEFORE)
        with filled.begin() as connection:
            kept = connection.execute(text("SELECT name, done_at IS NULL FROM image ORDER BY name"))
            assert [tuple(each) for each in kept] == [
                ("1.png", True), ("2.png", False), ("3.png", False), ("4.png", True)
            ]  # fmt: skip
            assert connection.scalar(text("SELECT state FROM label")) == "confirmed"
            assert connection.scalar(text("SELECT count(*) FROM image_lease")) == 1
    with filled.begin() as connection:
        assert connection.scalars(text(WAITING)).all() == ["1.png", "3.png"]
        days = connection.execute(text("SELECT decisions, images FROM day_of_work"))
        assert [tuple(each) for each in days] == [(1, 2)]
        # From now on the trigger keeps it.
        run(connection, "UPDATE image SET state = 'used', state_at = NULL WHERE name = '4.png'")
        run(connection, "UPDATE image SET done_at = now() WHERE name = '1.png'")
        run(connection, "UPDATE image SET came_back_at = NULL")
        assert connection.scalars(text(WAITING)).all() == ["4.png"]


@pytest.mark.parametrize(
    ("written", "said"), [(UNSURE, "people were unsure"), (GIVEN, "given to persons")]
)
def test_what_an_older_release_cannot_hold_is_not_lost_going_back(
    filled: Engine, written: str, said: str
) -> None:
    go(filled, "head")
    with filled.begin() as connection:
        run(connection, written)
    with pytest.raises(Exception, match=said):
        go(filled, BEFORE, down=True)


READING = """
    INSERT INTO second_reading (project_id, show, words, percent, seed, decoy_percent, version_id, num_images, asked_by)
        SELECT p.id, 'done', '', 10, 0, 0, v.id, 1, person.id FROM project AS p, criteria_version AS v, person
"""


def test_second_readings_come_to_what_is_there_and_are_not_lost_going_back(filled: Engine) -> None:
    go(filled, "head")
    go(filled, "0038", down=True)
    go(filled, "head")
    with filled.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM label")) == 1
        run(connection, READING)
    with pytest.raises(Exception, match="second readings"):
        go(filled, "0038", down=True)

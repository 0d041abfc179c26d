"""Images get room for their next revisions, and stay as they are, up and down."""

from sqlalchemy import Engine, text

from tests.app.migrating import go

FILLED = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes, label_revision)
        SELECT id, repeat('0', 64), 'a.png', 'PNG', 1, 1, 1, 7 FROM project
"""
ROOM = "SELECT reloptions FROM pg_class WHERE oid = 'image'::regclass"


def test_images_stay_and_get_room(old: Engine) -> None:
    go(old, "0027")
    with old.begin() as connection:
        for statement in FILLED.strip().split(";"):
            connection.execute(text(statement))
    for way, room in (("head", ["fillfactor=50"]), ("0027", None), ("head", ["fillfactor=50"])):
        go(old, way, down=way == "0027")
        with old.begin() as connection:
            found = connection.execute(text("SELECT name, label_revision FROM image")).all()
            assert [tuple(each) for each in found] == [("a.png", 7)]
            assert connection.scalar(text(ROOM)) == room

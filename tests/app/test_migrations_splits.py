"""Images of an older installation are in no dataset until a worker has read its datasets; nothing of them is lost."""

from sqlalchemy import Engine, text

from tests.app.migrating import fill, go

FILLED = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 3 FROM project;
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT id, 'form', 'dimension', 1, 'Form', '', false FROM project;
    INSERT INTO criteria_version (project_id, number, sha256, content, working_revision)
        SELECT id, 1, repeat('1', 64), '{}', 1 FROM project;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes)
        SELECT p.id, encode(sha256(n::text::bytea), 'hex'), n::text, 'PNG', 1, 1, 1
        FROM project AS p, generate_series(1, 4) AS n;
    INSERT INTO dataset (project_id, number, name, version_id, folder, manifest_sha256)
        SELECT project_id, 1, 'First', id, 'old-0001-1', repeat('2', 64) FROM criteria_version
"""
HELD = "INSERT INTO dataset_image (dataset_id, image_id, split) SELECT d.id, i.id, 'test' FROM dataset AS d, image AS i WHERE i.name IN ('1', '2')"
LOOSE = (
    "SELECT i.name FROM unfrozen_image AS u JOIN image AS i ON i.id = u.image_id ORDER BY i.name"
)


def test_images_come_and_go_from_datasets(old: Engine) -> None:
    go(old, "0050")
    fill(old, FILLED)
    for way in ("head", "0050", "head"):
        go(old, way, down=way == "0050")
    with old.begin() as connection:
        assert connection.scalar(text("SELECT images_are FROM dataset")) == "unread"
        assert connection.scalars(text(LOOSE)).all() == ["1", "2", "3", "4"]
        connection.execute(text(HELD))
        assert connection.scalars(text(LOOSE)).all() == ["3", "4"]
        connection.execute(text("DELETE FROM dataset_image"))
        assert connection.scalars(text(LOOSE)).all() == ["1", "2", "3", "4"]
        assert connection.scalar(text("SELECT count(*) FROM dataset")) == 1

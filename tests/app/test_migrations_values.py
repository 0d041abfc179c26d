"""The metadata of older installations is found value by value, and kept so from then on."""

from sqlalchemy import Engine, text

from tests.app.migrating import go

BEFORE = "0040"
OLD = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes, details)
        SELECT p.id, encode(sha256(d::text::bytea), 'hex'), '1.png', 'PNG', 1, 1, 1, d FROM project AS p,
            jsonb_array_elements('[{"painter": "Rembrandt", "year": 1642, "tags": ["group", "", "night", "night"],
                                    "size": {"cm": 3}, "none": null, "empty": ""}, {}]') AS d
"""
FOUND = "SELECT field, value FROM image_value ORDER BY 1, 2"
WHOLE = [("painter", "Rembrandt"), ("tags", "group"), ("tags", "night"), ("year", "1642")]


def test_values_are_found_and_follow_the_metadata(old: Engine) -> None:
    go(old, BEFORE)
    with old.begin() as connection:
        for statement in OLD.split(";"):
            connection.execute(text(statement))
    for way in ("head", BEFORE, "head"):
        go(old, way, down=way == BEFORE)
        with old.begin() as connection:
            kept = connection.scalars(text("SELECT details ->> 'year' FROM image ORDER BY id"))
            assert kept.all() == ["1642", None]
            connection.execute(text("UPDATE image SET name = '2.png'"))
            if way == "head":
                assert [tuple(each) for each in connection.execute(text(FOUND))] == WHOLE
    with old.begin() as connection:
        connection.execute(text('UPDATE image SET details = \'{"painter": "Vermeer"}\''))
        assert [tuple(each) for each in connection.execute(text(FOUND))] == [
            ("painter", "Vermeer")
        ] * 2
        connection.execute(text("UPDATE image SET details = '{}'"))
        assert connection.execute(text(FOUND)).all() == []

"""What pairs need is known to installations of before, from the version that is in force."""

import json

import pytest
from sqlalchemy import Engine, text

from tests.app.migrating import fill, go


def tree(*needs: str) -> str:
    pairs = [{"key": "grip", "needs": list(needs)}, {"key": "pose"}]
    inner = {"key": "anatomy", "dimensions": [], "pairs": pairs, "needs": ["figure"]}
    root = {"key": "form", "dimensions": [inner], "pairs": [{"key": "mass"}]}
    return json.dumps({"dimensions": [root]})


def test_needs_are_those_of_the_last_version(old: Engine) -> None:
    go(old, "0023")
    with old.begin() as connection:
        connection.execute(text("INSERT INTO project (slug, name) VALUES ('old', 'Old')"))
        connection.execute(
            text(
                "INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 3 FROM project"
            )
        )
        connection.execute(
            text(
                "INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)"
                " SELECT id, 'form', 'dimension', 1, 'Form', '', false FROM project"
            )
        )
        for key in ("grip", "pose", "mass"):
            connection.execute(
                text(
                    "INSERT INTO node (project_id, parent_id, key, kind, position, relation, positive_name,"
                    " positive_definition, negative_name, negative_definition)"
                    " SELECT project_id, id, CAST(:key AS text), 'pair', 1, 'opposed', 'a', '', 'b', ''"
                    " FROM node WHERE key = 'form'"
                ),
                {"key": key},
            )
        for number, content in enumerate((tree("feet"), tree("hands", "figure")), start=1):
            connection.execute(
                text(
                    "INSERT INTO criteria_version (project_id, number, sha256, content, working_revision)"
                    " SELECT id, :number, :sha256, :content, 1 FROM project"
                ),
                {"number": number, "sha256": f"{number}" * 64, "content": content},
            )
    go(old, "head")
    found = text(
        "SELECT key, content FROM pair_need JOIN node ON node.id = node_id ORDER BY key, content"
    )
    with old.begin() as connection:
        assert list(map(tuple, connection.execute(found))) == [
            ("grip", "figure"),
            ("grip", "hands"),
            ("pose", "figure"),
        ]
    go(old, "0023", down=True)
    go(old, "head")


SAID = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO person (name, email) VALUES ('Ada', 'ada@example.org');
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes, label_revision)
        SELECT id, repeat('a', 64), 'a.png', 'PNG', 1, 1, 1, 4 FROM project;
    INSERT INTO image_trait (image_id, kind, value, source, present, person_id)
        SELECT image.id, 'content', 'hands', 'person', false, person.id FROM image, person
"""


def test_what_was_said_begins_its_history(old: Engine) -> None:
    go(old, "0025")
    fill(old, SAID)
    go(old, "head")
    events = text(
        "SELECT e.kind, trait_kind, trait_value, before, after, image_revision, e.at = t.at, e.person_id = t.person_id"
        " FROM label_event AS e JOIN image_trait AS t USING (image_id)"
    )
    with old.begin() as connection:
        assert list(map(tuple, connection.execute(events))) == [
            ("state", "content", "hands", None, "absent", 4, True, True)
        ]
    with pytest.raises(Exception, match="whose history release 0025 cannot hold"):
        go(old, "0025", down=True)

"""What pairs need is known to installations of before, from the version that is in force."""

import json

from sqlalchemy import Engine, text

from tests.app.migrating import go


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

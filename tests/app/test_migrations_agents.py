"""What agents left in an older installation stays, and what a newer one writes is not lost going back."""

import pytest
from sqlalchemy import Connection, Engine, text

from tests.app.migrating import go

AT_OLD = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO criteria (project_id, name) SELECT id, 'Old' FROM project;
    INSERT INTO person (name, email) VALUES ('Ada', 'ada@example.org');
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT id, 'light', 'dimension', 1, 'Light', '', false FROM project;
    INSERT INTO node (project_id, key, kind, parent_id, position, relation, positive_name, negative_name,
                      positive_definition, negative_definition)
        SELECT project_id, 'bright', 'pair', id, 1, 'opposed', 'High', 'Low', '', '' FROM node;
    INSERT INTO criteria_version (project_id, number, content, sha256, working_revision)
        SELECT id, 1, '{}', repeat('0', 64), 0 FROM project;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes, prompt, details)
        SELECT p.id, encode(sha256(n::text::bytea), 'hex'), n || '.png', 'PNG', 1, 1, 1, '', '{}'
        FROM project AS p, generate_series(1, 4) AS n;
    INSERT INTO agent_run (project_id, agent, agent_version, version_id)
        SELECT p.id, 'measured', '2', v.id FROM project AS p, criteria_version AS v;
    INSERT INTO label (project_id, image_id, node_id, polarity, state, source, agent_run_id, version_id,
                       measure, value, revision)
        SELECT i.project_id, i.id, n.id, 'positive', 'proposed', 'agent', r.id, v.id, 'm', 0.5, 1
        FROM image AS i, node AS n, agent_run AS r, criteria_version AS v
        WHERE n.kind = 'pair' AND i.name <> '4.png';
    INSERT INTO label_event (image_id, node_id, polarity, kind, after, image_revision, agent_run_id, version_id)
        SELECT image_id, node_id, polarity, 'propose', 'proposed', 1, agent_run_id, version_id FROM label;
"""


def fill(connection: Connection) -> None:
    """Four images and an agent's labels on three of them."""
    for statement in AT_OLD.strip().removesuffix(";").split(";"):
        connection.execute(text(statement))


def test_labels_of_older_installations_stay_as_they_are(old: Engine) -> None:
    go(old, "0012")
    with old.begin() as connection:
        fill(connection)
    go(old, "head")
    stands = "SELECT state, source, measure, value, evidence FROM label"
    with old.begin() as connection:
        labels = {tuple(each) for each in connection.execute(text(stands))}
        assert labels == {("proposed", "agent", "m", 0.5, None)}
    go(old, "0012", down=True)
    go(old, "head")
    with old.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM label")) == 3


@pytest.mark.parametrize(
    "change",
    [
        "source = 'criteria', agent_run_id = NULL",
        "source = 'person', agent_run_id = NULL",
        "evidence = 'The left hand.'",
    ],
)
def test_labels_that_no_agent_run_proposed_are_not_lost_going_back(
    old: Engine, change: str
) -> None:
    go(old, "0012")
    with old.begin() as connection:
        fill(connection)
    go(old, "head")
    with old.begin() as connection:
        connection.execute(text(f"UPDATE label SET {change}"))
    with pytest.raises(Exception, match="which release 0012 cannot hold"):
        go(old, "0012", down=True)

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


# The first run has ended; the second was cancelled after three images, of which it could not label one.
RUNS = """
    INSERT INTO job (project_id, kind, spec, state, finished_at)
        SELECT id, 'agent_run', '{}', s, now() FROM project, unnest(ARRAY['succeeded', 'cancelled']) AS s;
    UPDATE agent_run SET job_id = (SELECT id FROM job WHERE state = 'succeeded'), images = 4, labels = 3,
        config = '{"after": 4}';
    INSERT INTO agent_run (project_id, job_id, agent, agent_version, version_id, images, config)
        SELECT p.id, j.id, 'measured', '2', v.id, 3,
            jsonb_build_object('after', (SELECT id FROM image WHERE name = '3.png'))
        FROM project AS p, criteria_version AS v, job AS j WHERE j.state = 'cancelled';
    INSERT INTO agent_run_problem (agent_run_id, image_id, reason)
        SELECT r.id, i.id, 'Damaged.' FROM agent_run AS r, image AS i
        WHERE r.labels = 0 AND i.name = '2.png';
"""
DONE = """
    SELECT r.id = (SELECT min(id) FROM agent_run), i.name, d.state, d.proposed, d.reason
    FROM agent_run_image AS d JOIN image AS i ON i.id = d.image_id JOIN agent_run AS r ON r.id = d.agent_run_id
    ORDER BY 1 DESC, 2
"""
WAITS = """
    SELECT i.name FROM image AS i, agent_run AS r WHERE r.labels = 0 AND i.id > (r.config->>'after')::bigint
    ORDER BY 1
"""


def test_cursor_and_problems_of_older_runs_become_rows(old: Engine) -> None:
    go(old, "0016")
    with old.begin() as connection:
        fill(connection)
        for statement in RUNS.strip().removesuffix(";").split(";"):
            connection.execute(text(statement))
    go(old, "0017")
    expected = [
        (True, "1.png", "labelled", 1, None),
        (True, "2.png", "labelled", 1, None),
        (True, "3.png", "labelled", 1, None),
        (False, "1.png", "labelled", 0, None),
        (False, "2.png", "failed", 0, "Damaged."),
        (False, "3.png", "labelled", 0, None),
    ]
    counts = "SELECT images, labels, problems, config FROM agent_run ORDER BY id"
    with old.begin() as connection:
        assert [tuple(each) for each in connection.execute(text(DONE))] == expected
        told = [tuple(each) for each in connection.execute(text(counts))]
        assert told == [(4, 3, 0, {}), (3, 0, 1, {})]
    go(old, "0016", down=True)
    with old.begin() as connection:
        assert connection.scalars(text("SELECT reason FROM agent_run_problem")).all() == [
            "Damaged."
        ]
        assert connection.scalars(text(WAITS)).all() == ["4.png"]
    go(old, "0017")
    with old.begin() as connection:
        assert [tuple(each) for each in connection.execute(text(DONE))] == expected
        connection.execute(text("UPDATE agent_run SET tokens_in = 7"))
    with pytest.raises(Exception, match="which release 0016 cannot hold"):
        go(old, "0016", down=True)

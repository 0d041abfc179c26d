"""Runs of an older installation say what they need; those of a newer objective are not lost going back."""

import pytest
from sqlalchemy import Connection, Engine, text

from tests.app.migrating import go

AT_0022 = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO criteria (project_id, name) SELECT id, 'Old' FROM project;
    INSERT INTO criteria_version (project_id, number, content, sha256, working_revision)
        SELECT id, 1, '{}', repeat('0', 64), 0 FROM project;
    INSERT INTO job (project_id, kind, queue, spec)
        SELECT id, 'training', 'gpu', '{}' FROM project, generate_series(1, 5);
    INSERT INTO dataset (project_id, number, name, version_id, counts, job_id)
        SELECT p.id, 1, 'D', v.id, '{}', (SELECT min(id) FROM job) FROM project AS p, criteria_version AS v;
    INSERT INTO pair_dataset (project_id, number, name, source, options, counts, job_id)
        SELECT id, 1, 'P', 'import', '{}', '{}', (SELECT min(id) + 1 FROM job) FROM project;
    INSERT INTO run (project_id, number, name, kind, job_id, dataset_id, config, folder)
        SELECT project_id, 1, 'A', 'sft', (SELECT min(id) + 2 FROM job), id, '{}', 'a' FROM dataset;
    INSERT INTO run (project_id, number, name, kind, job_id, dataset_id, expert_run_id, config, folder)
        SELECT d.project_id, 2, 'B', 'cpo_s', (SELECT min(id) + 3 FROM job), d.id, r.id, '{}', 'b'
        FROM dataset AS d, run AS r;
    INSERT INTO run (project_id, number, name, kind, job_id, pair_dataset_id, config, folder)
        SELECT project_id, 3, 'C', 'dpo', (SELECT min(id) + 4 FROM job), id, '{}', 'c' FROM pair_dataset;
"""
NEEDS = "SELECT kind, needs_expert, reads_pairs FROM run ORDER BY number"


def fill(connection: Connection) -> None:
    for statement in AT_0022.strip().removesuffix(";").split(";"):
        connection.execute(text(statement))


def test_runs_of_older_installations_say_what_they_need(old: Engine) -> None:
    go(old, "0022")
    with old.begin() as connection:
        fill(connection)
    go(old, "head")
    with old.begin() as connection:
        needs = [tuple(each) for each in connection.execute(text(NEEDS))]
        assert needs == [("sft", False, False), ("cpo_s", True, False), ("dpo", False, True)]
    go(old, "0022", down=True)
    go(old, "head")


def test_runs_of_a_newer_objective_are_not_lost_going_back(old: Engine) -> None:
    go(old, "0022")
    with old.begin() as connection:
        fill(connection)
    go(old, "head")
    with old.begin() as connection:
        connection.execute(text("UPDATE run SET kind = 'distil' WHERE number = 1"))
    with pytest.raises(Exception, match="newer objective, which release 0022 cannot hold"):
        go(old, "0022", down=True)

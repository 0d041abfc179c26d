"""Audits of older installations stay as they are when participants get codes and designs come, and going back loses nothing."""

import pytest
from sqlalchemy import Connection, Engine, text

from tests.app.migrating import go

BEFORE = "0035"
OLD = """
    INSERT INTO project (slug, name) VALUES ('old', 'Old');
    INSERT INTO criteria (project_id, name, revision) SELECT id, 'Old', 1 FROM project;
    INSERT INTO criteria_version (project_id, number, working_revision, content, sha256)
        SELECT id, 1, 0, '{}', repeat('a', 64) FROM project;
    INSERT INTO node (project_id, key, kind, position, name, definition, exclusive)
        SELECT id, 'light', 'dimension', 1, 'Light', '', false FROM project;
    INSERT INTO image (project_id, sha256, name, format, width, height, bytes)
        SELECT id, encode(sha256('a'), 'hex'), 'a.png', 'PNG', 1, 1, 1 FROM project;
    INSERT INTO audit (project_id, name, seed, sample_size, min_labels, version_id)
        SELECT p.id, 'Old audit', 1, 1, 1, v.id FROM project AS p, criteria_version AS v;
    INSERT INTO audit_item (audit_id, image_id, image_position, node_id, polarity, root_key)
        SELECT a.id, i.id, 1, n.id, 'positive', 'light' FROM audit AS a, image AS i, node AS n;
    INSERT INTO participant (audit_id, number, token_hash) SELECT id, 1, 'a' FROM audit;
    INSERT INTO participant (audit_id, number, token_hash) SELECT id, 2, 'b' FROM audit;
    INSERT INTO judgement (audit_id, participant_id, item_id, answer)
        SELECT p.audit_id, p.id, i.id, 'appears' FROM participant AS p, audit_item AS i
"""
SHARE = "INSERT INTO audit_share (audit_id, participant_id, image_position) SELECT audit_id, id, 1 FROM participant"
PROBE = "INSERT INTO audit_probe (audit_id, participant_id, image_position) SELECT audit_id, id, 1 FROM participant"


def run(connection: Connection, statements: str) -> None:
    for statement in statements.strip().split(";"):
        connection.execute(text(statement))


def test_audits_stay_and_participants_get_codes(old: Engine) -> None:
    go(old, BEFORE)
    with old.begin() as connection:
        run(connection, OLD)
    go(old, "head")
    with old.begin() as connection:
        codes = connection.scalars(text("SELECT code FROM participant")).all()
        assert len(set(codes)) == 2
        assert all(len(code) == 10 for code in codes)
        made = connection.execute(
            text("SELECT strata, judges, check_percent, population, is_simulated FROM audit")
        ).one()
        assert tuple(made) == ("none", None, 0, None, False)
        assert connection.scalar(text("SELECT count(*) FROM judgement")) == 2
    go(old, BEFORE, down=True)
    with old.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM judgement")) == 2
        assert connection.scalar(text("SELECT node_id IS NOT NULL FROM audit_item"))


@pytest.mark.parametrize("written", [SHARE, PROBE])
def test_what_participants_gave_is_not_lost_going_back(old: Engine, written: str) -> None:
    go(old, BEFORE)
    with old.begin() as connection:
        run(connection, OLD)
    go(old, "head")
    with old.begin() as connection:
        run(connection, written)
    with pytest.raises(Exception, match="would lose shares, probes or attention checks"):
        go(old, BEFORE, down=True)

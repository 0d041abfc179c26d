"""Migrations on an installation that is filled: everything stays, and the tables are what the code says."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, text

from app.tables import Model
from tests.app.migrating import go


def fill(connection: Connection) -> None:
    """A project with 4,500 images, an import, and what it said of one of its files."""
    connection.execute(text("INSERT INTO project (slug, name) VALUES ('old', 'Old')"))
    connection.execute(
        text(
            "INSERT INTO image_import (project_id, source, origin)"
            " SELECT id, 'files', 'a.png' FROM project"
        )
    )
    connection.execute(
        text(
            "INSERT INTO import_problem (import_id, name, kind, reason)"
            " SELECT id, 'x.png', 'duplicate', 'There already.' FROM image_import"
        )
    )
    connection.execute(
        text(
            "INSERT INTO image (project_id, sha256, name, format, width, height, bytes, prompt, details)"
            " SELECT p.id, encode(sha256(n::text::bytea), 'hex'), n || '.png', 'PNG', 1, 1, 1,"
            " 'Étude ' || n, jsonb_build_object('painter', 'Cézanne')"
            " FROM project AS p, generate_series(1, 4500) AS n"
        )
    )


def found(connection: Connection, words: str) -> int:
    asked = text("SELECT count(*) FROM image WHERE search @@ CAST(:words AS tsquery)")
    return int(connection.scalar(asked, {"words": words}) or 0)


def test_a_filled_installation_goes_up_and_down_and_up(old: Engine) -> None:
    go(old, "0004")
    with old.begin() as connection:
        fill(connection)
    go(old, "head")
    with old.begin() as connection:
        assert found(connection, "cezanne") == 4500
        assert found(connection, "etude & 4321") == 1
        states = connection.execute(text("SELECT DISTINCT state, revision FROM image")).all()
        assert [tuple(each) for each in states] == [("used", 1)]
        kinds = connection.scalars(text("SELECT kind FROM import_problem")).all()
        assert kinds == ["duplicate"]
    go(old, "0004", down=True)
    with old.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM image")) == 4500
    go(old, "head")


def test_the_tables_are_what_the_code_says(old: Engine) -> None:
    go(old, "head")
    with old.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Model.metadata) == []


def test_what_the_older_release_cannot_hold_is_not_lost(old: Engine) -> None:
    go(old, "head")
    with old.begin() as connection:
        fill(connection)
        connection.execute(
            text(
                "UPDATE image SET state = 'aside', state_at = now(), state_reason = 'x'"
                " WHERE name = '7.png'"
            )
        )
    with pytest.raises(Exception, match="set aside or erased"):
        go(old, "0004", down=True)


AUDIT = """
    INSERT INTO criteria (project_id, name) SELECT id, 'Old' FROM project;
    INSERT INTO criteria_version (project_id, number, sha256, content, working_revision)
      SELECT id, 1, repeat('a', 64), '{}', 1 FROM project;
    INSERT INTO audit (project_id, name, seed, sample_size, min_labels, version_id, notice)
      SELECT p.id, 'Spring', 1, 1, 1, v.id, 'Please read.' FROM project AS p, criteria_version AS v;
    INSERT INTO node (project_id, key, kind, position, name, exclusive)
      SELECT id, 'light', 'dimension', 1, 'Light', false FROM project;
    INSERT INTO audit_item (audit_id, image_id, image_position, node_id, polarity, root_key)
      SELECT a.id, (SELECT min(id) FROM image), 1, n.id, 'positive', 'light' FROM audit AS a, node AS n;
    INSERT INTO audit_participant (audit_id, number, token_hash, consented_at, finished_at)
      SELECT id, 1, 'one', '2026-01-01', '2026-01-02' FROM audit;
    INSERT INTO audit_participant (audit_id, number, token_hash) SELECT id, 2, 'two' FROM audit;
    INSERT INTO judgement (participant_id, item_id, audit_id, answer)
      SELECT p.id, i.id, i.audit_id, 'appears' FROM audit_participant AS p, audit_item AS i WHERE p.number = 1;
"""


def test_participants_and_their_notices_move_to_tables_of_their_own(old: Engine) -> None:
    go(old, "0013")
    with old.begin() as connection:
        fill(connection)
        connection.execute(text(AUDIT))
    go(old, "0014")
    with old.begin() as connection:
        agreed = connection.execute(
            text(
                "SELECT p.number, p.finished_at IS NOT NULL, n.number, n.text FROM participant AS p"
                " LEFT JOIN consent_notice AS n ON n.id = p.notice_id ORDER BY p.number"
            )
        )
        assert [tuple(each) for each in agreed] == [
            (1, True, 1, "Please read."),
            (2, False, None, None),
        ]
        answers = (
            "SELECT answer FROM judgement AS j JOIN participant AS p ON p.id = j.participant_id"
        )
        assert connection.scalars(text(answers)).all() == ["appears"]
    go(old, "0013", down=True)
    with old.begin() as connection:
        assert connection.scalars(text("SELECT notice FROM audit")).all() == ["Please read."]
        assert connection.scalars(
            text("SELECT number FROM audit_participant ORDER BY 1")
        ).all() == [1, 2]
    go(old, "head")
    with old.begin() as connection:
        connection.execute(text("UPDATE participant SET withdrawn_at = now() WHERE number = 2"))
    with pytest.raises(Exception, match="have withdrawn"):
        go(old, "0013", down=True)


def test_labels_of_older_audits_are_labels_and_decoys_stay_with_the_newer_release(
    old: Engine,
) -> None:
    go(old, "0013")
    with old.begin() as connection:
        fill(connection)
        connection.execute(text(AUDIT))
    go(old, "head")
    with old.begin() as connection:
        found = connection.execute(text("SELECT kind, decoy_percent FROM audit_item, audit"))
        assert [tuple(each) for each in found] == [("label", 0)]
        assert connection.scalar(text("SELECT count(*) FROM practice_item")) == 0
        connection.execute(
            text(
                "INSERT INTO audit_item (audit_id, image_id, image_position, node_id, polarity, root_key, kind)"
                " SELECT audit_id, image_id, 1, node_id, 'negative', root_key, 'decoy' FROM audit_item"
            )
        )
    with pytest.raises(Exception, match="audits have decoys"):
        go(old, "0015", down=True)

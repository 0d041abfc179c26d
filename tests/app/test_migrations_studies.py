"""Audits, their participants and pair datasets of older installations stay when studies come, and studies are not lost going back."""

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from tests.app.migrating import go
from tests.app.test_migrations_audits import OLD, run

BEFORE = "0041"
SHARES = "0046"
"""The last release whose studies had no shares."""
MORE = """
    INSERT INTO consent_notice (audit_id, number, text) SELECT id, 1, 'Read.' FROM audit;
    UPDATE participant SET notice_id = n.id, consented_at = now() FROM consent_notice AS n WHERE participant.number = 1;
    INSERT INTO pair_dataset (project_id, number, name, source) SELECT id, 1, 'Pairs', 'import' FROM project
"""
STUDY = """
    INSERT INTO study (project_id, name, seed, prompts, version_id)
        SELECT p.id, 'New', 1, 1, v.id FROM project AS p, criteria_version AS v
"""
PAIRS = "INSERT INTO pair_dataset (project_id, number, name, source) SELECT id, 2, 'Pairs', 'study' FROM project"


def fill(old: Engine) -> None:
    go(old, BEFORE)
    with old.begin() as connection:
        run(connection, OLD)
        run(connection, MORE)


def kept(connection: Connection) -> list[int]:
    tables = ("audit", "participant", "judgement", "consent_notice", "pair_dataset")
    return [connection.scalar(text(f"SELECT count(*) FROM {each}")) or 0 for each in tables]


def test_what_was_there_stays_up_and_down(old: Engine) -> None:
    fill(old)
    go(old, "head")
    with old.begin() as connection:
        assert kept(connection) == [1, 2, 2, 1, 1]
        assert connection.scalar(text("SELECT count(*) FROM participant WHERE notice_id > 0")) == 1
    go(old, BEFORE, down=True)
    with old.begin() as connection:
        assert kept(connection) == [1, 2, 2, 1, 1]
        assert connection.scalar(text("SELECT count(*) FROM participant WHERE audit_id > 0")) == 2
    go(old, "head")


def test_studies_with_shares_are_not_lost_going_back(old: Engine) -> None:
    fill(old)
    go(old, "head")
    with old.begin() as connection:
        connection.execute(text(STUDY))
    go(old, SHARES, down=True)
    go(old, "head")
    with old.begin() as connection:
        assert connection.scalar(text("SELECT count(*) FROM study WHERE judges IS NULL")) == 1
        connection.execute(text("UPDATE study SET judges = 1, prompts_each = 1"))
    with pytest.raises(Exception, match="there are studies with shares"):
        go(old, SHARES, down=True)


@pytest.mark.parametrize("written", [STUDY, PAIRS])
def test_studies_are_not_lost_going_back(old: Engine, written: str) -> None:
    fill(old)
    go(old, "head")
    with old.begin() as connection:
        connection.execute(text(written))
    with pytest.raises(Exception, match="there are studies"):
        go(old, BEFORE, down=True)


@pytest.mark.parametrize(
    "wrong",
    [
        "UPDATE participant SET study_id = (SELECT id FROM study)",
        "UPDATE participant SET audit_id = NULL",
        "UPDATE study SET state = 'open'",
        "UPDATE study SET state = 'closed', opened_at = now()",
        "UPDATE study SET has_ties = false, identical_percent = 5",
        "INSERT INTO study_pair (study_id, kind, first_image_id, second_image_id) SELECT id, 'pair', 1, 1 FROM study",
    ],
)
def test_the_database_refuses_what_makes_no_sense(old: Engine, wrong: str) -> None:
    fill(old)
    go(old, "head")
    with old.begin() as connection:
        connection.execute(text(STUDY))
    with pytest.raises(IntegrityError), old.begin() as connection:
        connection.execute(text(wrong))

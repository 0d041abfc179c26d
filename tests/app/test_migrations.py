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

"""Connections that are kept: one that broke is replaced before anybody meets it, and one that stands is not asked."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, text

from app import database


@pytest.fixture
def kept(servers: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Engine, list[str]]]:
    """An engine of its own, and what it was asked whether a connection stands."""
    made = database.make_engine(
        database.engine().url.render_as_string(hide_password=False), database.limits()
    )
    asked: list[str] = []
    ask = made.dialect.do_ping

    def note(held: Any) -> bool:
        asked.append("asked")
        return ask(held)

    monkeypatch.setattr(made.dialect, "do_ping", note)
    yield made, asked
    made.dispose()


def own_number(made: Engine) -> int:
    with made.connect() as connection:
        return int(connection.execute(text("SELECT pg_backend_pid()")).scalar_one())


def test_a_connection_that_broke_is_replaced_unseen(kept: tuple[Engine, list[str]]) -> None:
    made, asked = kept
    first = own_number(made)
    assert own_number(made) == first
    assert asked == []
    with database.engine().begin() as other:
        other.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": first})
    assert own_number(made) != first
    assert asked == ["asked"]


def test_a_connection_that_was_quiet_for_long_is_asked(
    kept: tuple[Engine, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, asked = kept
    first = own_number(made)
    monkeypatch.setattr(database, "TRUSTED_SECONDS", 0.0)
    assert own_number(made) == first
    assert asked == ["asked"]

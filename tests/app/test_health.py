"""Alive and ready, for anyone, with no detail for strangers."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from starlette.testclient import TestClient

from app import database, migrations
from app.settings import settings

SECRET = "postgresql+psycopg://morelli:SECRET@127.0.0.1:1/morelli"


@pytest.fixture
def other_database(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a test change the database's address; the next test finds the right one again."""
    database.engine().dispose()
    database.engine.cache_clear()
    yield
    database.engine().dispose()
    monkeypatch.undo()
    database.engine.cache_clear()


def refuse_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "database_url", SecretStr(SECRET))


def test_alive_and_ready(api: TestClient) -> None:
    alive = api.get("/healthz")
    assert (alive.status_code, alive.json()) == (200, {"status": "ok"})
    ready = api.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ok", "database": "ok", "migrations": "ok", "redis": "ok", "disk": "ok"},
    )


@pytest.mark.parametrize("url", ["redis://:SECRET@127.0.0.1:1", "SECRET", "unix:///nowhere", None])
def test_without_redis_it_works_on_degraded(
    api: TestClient, monkeypatch: pytest.MonkeyPatch, url: str | None
) -> None:
    monkeypatch.setattr(settings(), "redis_url", SecretStr(url) if url else None)
    ready = api.get("/readyz")
    assert ready.status_code == 200
    assert (ready.json()["status"], ready.json()["redis"]) == ("degraded", "down")
    assert "SECRET" not in ready.text


def test_without_a_database_it_is_alive_and_not_ready(
    api: TestClient, other_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_connections(monkeypatch)
    ready = api.get("/readyz")
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "unavailable",
        "database": "down",
        "migrations": "unknown",
        "redis": "ok",
        "disk": "ok",
    }
    assert api.get("/healthz").status_code == 200


def test_a_database_that_is_not_set_is_down(
    api: TestClient, other_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(settings(), "database_url", None)
        assert api.get("/readyz").status_code == 503


def test_a_database_behind_the_code_is_not_ready(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "newest", lambda: "later")
    ready = api.get("/readyz")
    assert ready.status_code == 503
    assert (ready.json()["status"], ready.json()["migrations"]) == ("unavailable", "behind")


def test_nothing_leaks(
    api: TestClient, other_database: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.engine().connect() as connection:
        version = str(connection.scalar(text("SHOW server_version")))
        at = str(migrations.current(connection))
    fine = api.get("/readyz").text
    database.engine().dispose()
    database.engine.cache_clear()
    refuse_connections(monkeypatch)
    for shown in (fine, api.get("/readyz").text):
        for detail in (version, at, "SECRET", "127.0.0.1", "Error", str(settings().home)):
            assert detail not in shown


@pytest.mark.parametrize("host", ["10.0.0.7:8000", "", "morelli.internal"])
def test_what_watches_the_server_may_ask_by_any_name(api: TestClient, host: str) -> None:
    for path in ("/healthz", "/readyz"):
        assert api.get(path, headers={"Host": host}).status_code == 200
    assert api.get("/sign-in", headers={"Host": host}).status_code == 400

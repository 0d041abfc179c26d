"""Fixtures for everyone: real PostgreSQL and Redis, HTTP clients, people and things to work with.

The servers are the embedded ones, started once for the whole session in a folder of its own. Set
MORELLI_TEST_DATABASE_URL and MORELLI_TEST_REDIS_URL to use others; their contents are lost.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app import database, migrations
from app import settings as settings_module
from app.accounts.access import cookie_name
from app.accounts.models import Person
from app.accounts.signing_in import sign_in as start_sign_in
from app.accounts.tokens import create_token
from app.images import storage
from app.tables import Model
from tests.factories import Make

# Property tests run by number of examples, never by the clock: the machine may be busy. They draw the same
# examples each time, so that a change is judged by what it changed; EXPLORE=1 draws others.
hypothesis.settings.register_profile(
    "tests",
    deadline=None,
    derandomize="EXPLORE" not in os.environ,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tests")

APPEND_ONLY = {
    "label_event",
    "node_change",
    "criteria_version",
    "job_event",
    "image_event",
    "audit_item",
    "consent_notice",
    "practice_item",
    "study_pair",
    "read_question",
    "read_answer",
}
COUNTED = {
    *("label", "image", "image_trait", "pair_need", "image_tally"),
    *("contradiction_side", "image_contradiction", "dataset_image"),
}


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MORELLI_HOME of this test session."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def servers(home: Path) -> Iterator[None]:
    """PostgreSQL (migrated) and Redis, with the settings pointing at them."""
    from app import embedded

    given = os.environ.get("MORELLI_TEST_DATABASE_URL")
    running = None if given else embedded.start(home, report=lambda _: None, durable=False)
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("MORELLI_")]:
            if not name.startswith("MORELLI_TEST_"):
                patch.delenv(name)
        patch.setenv("MORELLI_HOME", str(home))
        if running is not None:
            patch.setenv("MORELLI_DATABASE_URL", running.servers.database_url)
            patch.setenv("MORELLI_REDIS_URL", running.servers.redis_client_url)
        else:
            patch.setenv("MORELLI_DATABASE_URL", str(given))
            patch.setenv("MORELLI_REDIS_URL", os.environ["MORELLI_TEST_REDIS_URL"])
        settings_module.settings.cache_clear()
        database.engine.cache_clear()
        engine = database.engine()
        if given:
            with engine.begin() as connection:
                connection.execute(text("DROP SCHEMA public CASCADE; CREATE SCHEMA public"))
        migrations.upgrade(engine)
        yield
        engine.dispose()
        database.engine.cache_clear()
    settings_module.settings.cache_clear()
    if running is not None:
        running.stop()


@pytest.fixture
def clean_database(servers: None) -> None:
    """Empty tables before each test that asks for them.

    Something that the test before has left to itself may still hold a row for a moment on a busy machine.
    """
    for _ in range(2):
        try:
            return _empty_tables()
        except OperationalError:
            continue
    return _empty_tables()


def _empty_tables() -> None:
    """Rows are deleted table by table, which takes a few milliseconds where TRUNCATE of thirty tables
    takes hundreds; the triggers that keep history and counts stand aside for that.
    """
    tables = [table.name for table in reversed(Model.metadata.sorted_tables)]
    with database.engine().begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        some = " UNION ALL ".join(
            f"SELECT '{name}' WHERE EXISTS (SELECT FROM \"{name}\")" for name in tables
        )
        full = set(connection.scalars(text(some)))
        guarded = (APPEND_ONLY | COUNTED) & full
        for name in guarded:
            connection.execute(text(f"ALTER TABLE {name} DISABLE TRIGGER USER"))
        for name in tables:
            if name in full:
                connection.execute(text(f'DELETE FROM "{name}"'))
        for name in guarded:
            connection.execute(text(f"ALTER TABLE {name} ENABLE TRIGGER USER"))


@pytest.fixture
def db(clean_database: None) -> Iterator[Session]:
    """A session for verbs. Call `db.commit()` before another session or HTTP has to see the data."""
    with Session(database.engine(), expire_on_commit=False) as session:
        yield session


@pytest.fixture
def make(db: Session) -> Make:
    """Makes people, projects, images and so on; each is committed at once."""
    return Make(db)


@pytest.fixture
def own_storage(servers: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MORELLI_HOME, with the storage of images in it, is this test's alone and empty."""
    monkeypatch.setattr(settings_module.settings(), "home", tmp_path / "home")
    storage.forget_store()
    yield
    storage.forget_store()


@pytest.fixture
def open_client(clean_database: None) -> Iterator[Callable[..., TestClient]]:
    """Opens clients that follow no redirects, as many as a test needs."""
    from app.main import app

    opened: list[TestClient] = []

    def open_one(**headers: str) -> TestClient:
        client = TestClient(
            app,
            base_url="http://127.0.0.1:8000",
            headers=headers,
            follow_redirects=False,
            raise_server_exceptions=False,
        )
        opened.append(client)
        return client

    yield open_one
    for client in opened:
        client.close()


@pytest.fixture
def browser(open_client: Callable[..., TestClient]) -> TestClient:
    """A browser without JavaScript."""
    return open_client(**{"Sec-Fetch-Site": "same-origin"})


@pytest.fixture
def htmx(open_client: Callable[..., TestClient]) -> TestClient:
    """A browser whose page sends requests by htmx."""
    return open_client(**{"Sec-Fetch-Site": "same-origin", "HX-Request": "true"})


@pytest.fixture
def api(open_client: Callable[..., TestClient]) -> TestClient:
    """A program."""
    return open_client()


@pytest.fixture
def sign_in(db: Session) -> Callable[[TestClient, Person], TestClient]:
    """Signs a person in at a client, as the sign-in page would."""

    def do(client: TestClient, person: Person) -> TestClient:
        token = start_sign_in(db, person, browser="test", address="127.0.0.1")
        db.commit()
        client.cookies.set(cookie_name(), token, domain="127.0.0.1")
        return client

    return do


@pytest.fixture
def token_for(db: Session) -> Callable[[Person], dict[str, str]]:
    """The Authorization header of a person's program."""

    def do(person: Person) -> dict[str, str]:
        _, token = create_token(db, person, "test")
        db.commit()
        return {"Authorization": f"Bearer {token}"}

    return do

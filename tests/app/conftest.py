"""Fixtures for tests of migrations."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, text

from app import database


@pytest.fixture
def old(servers: None) -> Iterator[Engine]:
    """A schema beside that of the other tests, without any table."""
    own = database.engine()
    with own.begin() as connection:
        connection.execute(text("DROP SCHEMA IF EXISTS migrated CASCADE; CREATE SCHEMA migrated"))
    engine = create_engine(own.url, connect_args={"options": "-c search_path=migrated"})
    yield engine
    engine.dispose()
    with own.begin() as connection:
        connection.execute(text("DROP SCHEMA migrated CASCADE"))

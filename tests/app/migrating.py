"""Takes a schema from one migration to another."""

from alembic import command
from sqlalchemy import Engine

from app import migrations


def go(engine: Engine, to: str, *, down: bool = False) -> None:
    config = migrations._config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, to)

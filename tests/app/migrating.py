"""Takes a schema from one migration to another."""

from alembic import command
from sqlalchemy import Engine, text

from app import migrations


def go(engine: Engine, to: str, *, down: bool = False) -> None:
    config = migrations._config()
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, to)


def fill(engine: Engine, statements: str) -> None:
    """Have an installation hold what these statements write, parted by semicolons."""
    with engine.begin() as connection:
        for statement in statements.strip().removesuffix(";").split(";"):
            connection.execute(text(statement))

"""Runs migrations on the database of the settings, or on the connection that a caller hands over."""

from alembic import context
from sqlalchemy import Connection, text

from app.database import engine
from app.tables import Model

# One upgrade at a time, whoever starts it; the number only has to be the same everywhere.
ADVISORY_LOCK = 4_206_001


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Model.metadata, compare_type=True)
    with context.begin_transaction():
        connection.execute(text("SET LOCAL lock_timeout = '5s'"))
        connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with engine().connect() as connection:
        run(connection)
        connection.commit()

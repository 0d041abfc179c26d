"""Engine, base model and the unit of work: the only place that commits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any

from sqlalchemy import BigInteger, DateTime, Engine, Identity, MetaData, create_engine, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from app.errors import Unavailable
from app.settings import settings

Json = dict[str, Any]
Key = Annotated[int, mapped_column(BigInteger, Identity(always=True), primary_key=True)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Created = Annotated[
    datetime, mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
]


class Model(DeclarativeBase):
    """Base of every table. Constraint names are fixed from day one so that migrations can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {Json: JSONB, list[Any]: JSONB, datetime: DateTime(timezone=True)}


def make_engine(url: str, *, pool_size: int = 5) -> Engine:
    """An engine for PostgreSQL through psycopg 3."""
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_pre_ping=True,
        hide_parameters=True,  # values of people have no place in a log
        pool_timeout=10,
        connect_args={"connect_timeout": 5},
    )


@lru_cache
def engine() -> Engine:
    """The engine of this process.

    Raises Unavailable when no database is set: `morelli up` sets the embedded one.
    """
    url = settings().database_url
    if url is None:
        raise Unavailable(
            "No database is set.",
            hint="Start everything with `morelli up`, or set MORELLI_DATABASE_URL.",
        )
    return make_engine(url.get_secret_value(), pool_size=settings().database_pool)


def after_commit(db: Session, action: Callable[[], None]) -> None:
    """Have `action` run once, right after this unit of work has committed; never after a rollback."""
    db.info.setdefault("after_commit", []).append(action)


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """One transaction: commits at the end, rolls back on an exception, then runs what waits for the commit."""
    with Session(engine(), expire_on_commit=False) as db:
        with db.begin():
            try:
                yield db
            except BaseException:
                # A rollback empties what was loaded; the error page still shows who is signed in.
                db.expunge_all()
                raise
        for action in db.info.pop("after_commit", []):
            action()


__all__ = [
    "Created",
    "Json",
    "Key",
    "Mapped",
    "Model",
    "Moment",
    "after_commit",
    "engine",
    "make_engine",
    "unit_of_work",
]

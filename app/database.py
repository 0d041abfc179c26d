"""Engine, base model and the unit of work: the only place that commits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from select import POLLIN, poll
from time import monotonic
from typing import Annotated, Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Engine,
    Identity,
    MetaData,
    create_engine,
    event,
    func,
    make_url,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from app.errors import Unavailable
from app.settings import settings

Json = dict[str, Any]
LARGEST_KEY = 2**63 - 1
"""What a column of 64 bits holds at most."""
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


@dataclass(frozen=True)
class Limits:
    """How many connections a process holds, and how long the database lets it wait; in seconds."""

    connections: int
    lock: float
    statement: float
    idle: float

    @property
    def options(self) -> str:
        """As PostgreSQL takes them when a connection begins."""
        each = {
            "lock_timeout": self.lock,
            "statement_timeout": self.statement,
            "idle_in_transaction_session_timeout": self.idle,
        }
        return " ".join(f"-c {name}={round(seconds * 1000)}" for name, seconds in each.items())


# The web server's connections beyond those of requests: for the question whether all is ready.
SPARE_CONNECTIONS = 2
# Nothing waits in the middle of a transaction but for the database, or for the processor.
IDLE_SECONDS = 60.0
# A connection that was used less long ago than this, and whose other end has not closed it, is there.
TRUSTED_SECONDS = 30.0
_is_web = False


@contextmanager
def serving_requests() -> Iterator[None]:
    """Meanwhile this process is a web server: many short transactions, none of which may wait long."""
    _become(web=True)
    try:
        yield
    finally:
        _become(web=False)


def _become(*, web: bool) -> None:
    global _is_web
    _is_web = web
    # Connections keep the limits that they were made with.
    if engine.cache_info().currsize:
        engine().dispose()
        engine.cache_clear()


def limits() -> Limits:
    """The limits of this process: those of a web server, or of anything that works through a job."""
    chosen = settings()
    if _is_web:
        return Limits(
            chosen.requests_at_once + SPARE_CONNECTIONS,
            chosen.request_lock_seconds,
            chosen.request_statement_seconds,
            IDLE_SECONDS,
        )
    # A handler may compute between two statements, so only the hopeless is ended.
    patient = chosen.job_statement_seconds
    return Limits(chosen.database_pool, chosen.job_lock_seconds, patient, patient)


def make_engine(url: str, held: Limits) -> Engine:
    """An engine for PostgreSQL through psycopg 3."""
    address = make_url(url)
    given = address.query.get("options", "")
    made = create_engine(
        address,
        pool_size=held.connections,
        max_overflow=0,
        hide_parameters=True,  # values of people have no place in a log
        pool_timeout=10,
        connect_args={
            "connect_timeout": 5,
            # What the address itself says comes last, and counts.
            "options": f"{held.options} {given if isinstance(given, str) else ' '.join(given)}",
        },
    )
    event.listen(made, "checkout", _refuse_broken(made))
    return made


def _refuse_broken(made: Engine) -> Callable[[Any, Any, Any], None]:
    """Asks a connection whether it stands before it is used again, where that is not plain already.

    The pool's own way asks each time, which is a question more for every request. A server that went away
    closes its end, and the socket tells so without being asked.
    """

    def look(connection: Any, record: Any, _: Any) -> None:
        now = monotonic()
        used = record.info.get("used", now)
        record.info["used"] = now
        try:
            # One that knows itself that it is closed says so here.
            if now - used < TRUSTED_SECONDS and not _has_come(connection.fileno()):
                return
            made.dialect.do_ping(connection)
        except made.dialect.loaded_dbapi.Error as error:
            raise InvalidatePoolError from error

    return look


def _has_come(socket: int) -> bool:
    """Whether something, or the end, has come where nothing was asked for."""
    waiting = poll()
    waiting.register(socket, POLLIN)
    return bool(waiting.poll(0))


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
    return make_engine(url.get_secret_value(), limits())


def after_commit(db: Session, action: Callable[[], None]) -> None:
    """Have `action` run once, right after this unit of work has committed; never after a rollback."""
    db.info.setdefault("after_commit", []).append(action)


def keep_until_commit(db: Session, loaded: object) -> None:
    """Keep what was loaded for the next who asks this session for it, which would forget it otherwise.

    For what cannot change until the transaction ends, because this one holds its lock.
    """
    db.info.setdefault("kept", []).append(loaded)


@contextmanager
def only_tried(db: Session) -> Iterator[None]:
    """Take back what is done meanwhile: it shows whether it would be refused, and in which words."""
    trial = db.begin_nested()
    try:
        yield
    finally:
        trial.rollback()


@contextmanager
def unit_of_work() -> Iterator[Session]:
    """One transaction: commits at the end, rolls back on an exception, then runs what waits for the commit."""
    with Session(engine(), expire_on_commit=False) as db:
        try:
            yield db
            db.commit()
        except BaseException:
            # A rollback empties what was loaded; the error page still shows who is signed in.
            db.expunge_all()
            db.rollback()
            raise
        db.info.pop("kept", None)
        for action in db.info.pop("after_commit", []):
            action()


def let_go(db: Session) -> None:
    """End the transaction so far, which has only read, and give its connection to others.

    For requests that wait for their client in the middle. The next statement begins another transaction.
    """
    assert not db.new and not db.dirty and not db.deleted
    db.info.pop("kept", None)
    db.commit()


__all__ = [
    "Created",
    "Json",
    "Key",
    "Limits",
    "Mapped",
    "Model",
    "Moment",
    "after_commit",
    "engine",
    "keep_until_commit",
    "let_go",
    "limits",
    "make_engine",
    "serving_requests",
    "unit_of_work",
]

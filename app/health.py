"""Is the process alive, and is what it needs there. Open to anyone, with no detail for strangers."""

import redis
from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import JSONResponse

from app import migrations
from app.accounts.access import Public
from app.database import engine
from app.errors import AppError
from app.settings import settings

router = APIRouter(tags=["health"])


@router.get("/healthz", dependencies=[Public])
async def healthz() -> dict[str, str]:
    """The process answers. Asks nothing else, so that a database hiccup restarts no web server, and
    needs neither a turn nor a thread, so that it answers however many wait.
    """
    return {"status": "ok"}


def _database() -> tuple[str, str]:
    try:
        with engine().connect() as connection:
            connection.execute(text("SELECT 1"))
            behind = migrations.current(connection) != migrations.newest()
    except (SQLAlchemyError, AppError):
        return "down", "unknown"
    return "ok", "behind" if behind else "ok"


def _redis() -> str:
    url = settings().redis_url
    if url is None:
        return "down"
    try:
        with redis.Redis.from_url(
            url.get_secret_value(), socket_timeout=1, socket_connect_timeout=1
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError):  # ValueError: the address is none
        return "down"
    return "ok"


@router.get("/readyz", dependencies=[Public])
def readyz() -> JSONResponse:
    """Database, migrations and Redis. Without Redis work goes on, slower: `degraded`, not down."""
    database, at = _database()
    broker = _redis()
    ready = database == "ok" and at == "ok"
    status = "ok" if ready and broker == "ok" else "degraded" if ready else "unavailable"
    body = {"status": status, "database": database, "migrations": at, "redis": broker}
    return JSONResponse(body, 200 if ready else 503)

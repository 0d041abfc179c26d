"""Is the process alive, and is what it needs there. Open to anyone, with no detail for strangers."""

import os
import shutil
import tempfile

import redis
from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from app import migrations
from app.accounts.access import Public
from app.database import engine
from app.errors import AppError, is_disk_full
from app.settings import settings
from app.web.turns import Turns

router = APIRouter(tags=["health"])
TRIED_BYTES = 64 * 1024
TRIED_KEY = "morelli:ready"
LEAST_FREE = 16 * 1024**2
_looks = Turns(1, 200)


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


def redis_state() -> str:
    """Whether Redis takes what is sent: `ok`, `full`, `not writable` or `down`."""
    url = settings().redis_url
    if url is None:
        return "down"
    try:
        with redis.Redis.from_url(
            url.get_secret_value(), socket_timeout=1, socket_connect_timeout=1
        ) as client:
            # Written, because one that is full, or a replica, answers a PING all the same.
            client.set(TRIED_KEY, 1, ex=10)
    except redis.exceptions.OutOfMemoryError:
        return "full"
    except redis.ResponseError:
        return "not writable"
    except (redis.RedisError, ValueError):  # ValueError: the address is none
        return "down"
    return "ok"


def _disk() -> str:
    """Whether something can be written where everything is kept; tried out, because quotas are not seen."""
    home = settings().home
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home, prefix=".ready-") as file:
            file.write(bytes(TRIED_BYTES))
            file.flush()
            os.fsync(file.fileno())
        return "ok" if shutil.disk_usage(home).free > LEAST_FREE else "full"
    except OSError as error:
        return "full" if is_disk_full(error) else "not writable"


def _look() -> JSONResponse:
    database, at = _database()
    broker, disk = redis_state(), _disk()
    ready = database == at == disk == "ok"
    status = "ok" if ready and broker == "ok" else "degraded" if ready else "unavailable"
    body = {"status": status, "database": database, "migrations": at, "redis": broker, "disk": disk}
    return JSONResponse(body, 200 if ready else 503)


@router.get("/readyz", dependencies=[Public])
async def readyz() -> JSONResponse:
    """Database, migrations, Redis and room on the disk. Without Redis work goes on, slower: `degraded`.

    One look at a time: whoever asks it often holds up those who ask it, and no one else.
    """
    await _looks.enter()
    try:
        return await run_in_threadpool(_look)
    finally:
        _looks.leave()

"""What this installation consists of and what is wrong with it. Changes nothing."""

import importlib.metadata
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import redis as redis_client
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app import database, embedded, extras, migrations
from app.embedded import postgres
from app.embedded import redis as redis_server
from app.embedded.home import Home
from app.errors import AppError
from app.health import redis_state
from app.settings import settings
from app.up import has_own_servers, use_servers

ENOUGH_DISK_BYTES = 5 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One thing looked at: `ok`, `note`, or `bad` where something does not work."""

    what: str
    found: str
    verdict: Literal["ok", "note", "bad"]


def examine() -> list[Finding]:
    """Look at everything, in the order in which things depend on one another."""
    return [*_programs(), *_home(), *_servers()]


def _programs() -> list[Finding]:
    version = importlib.metadata.version("morelli")
    found = [
        Finding("Morelli", version, "ok"),
        Finding("Python", platform.python_version(), "ok"),
    ]
    if extras.is_installed("train"):
        found.append(Finding("Training", "torch " + importlib.metadata.version("torch"), "ok"))
    else:
        found.append(Finding("Training", str(extras.missing("train").hint), "note"))
    return found


def _home() -> list[Finding]:
    home = settings().home
    if not home.exists():
        return [Finding("Home", f"{home}, made at the first start", "note")]
    free = shutil.disk_usage(home).free
    verdict: Literal["ok", "bad"] = "ok" if free > ENOUGH_DISK_BYTES else "bad"
    return [
        Finding("Home", str(home), "ok"),
        Finding("Free disk", f"{free / 1024**3:.1f} GiB", verdict),
    ]


def _servers() -> list[Finding]:
    found = []
    if not has_own_servers():
        known = embedded.versions(settings().home)
        unusable = _unusable_programs()
        found = [
            Finding(name, value, "bad" if value in unusable else "ok")
            for name, value in known.items()
            if name != "home"
        ]
        running = embedded.running(settings().home)
        if running is None:
            return [*found, Finding("Servers", "not running; start with `morelli up`", "note")]
        use_servers(running)
    return [*found, _database(), _redis()]


def _unusable_programs() -> set[str]:
    """Why PostgreSQL or Redis cannot be started, in the words of `embedded.versions`."""
    finders: list[Callable[[], object]] = [
        lambda: postgres.choose_program(Home(settings().home)),
        redis_server.find_program,
    ]
    reasons = set()
    for find in finders:
        try:
            find()
        except embedded.ServersError as error:
            reasons.add(str(error))
    return reasons


def _database() -> Finding:
    try:
        with database.engine().connect() as connection:
            version = connection.scalar(text("SHOW server_version"))
            at, newest = migrations.current(connection), migrations.newest()
    except (SQLAlchemyError, AppError) as error:
        return Finding("Database", f"does not answer ({type(error).__name__})", "bad")
    if at != newest:
        return Finding("Database", f"PostgreSQL {version}, migration {at} of {newest}", "bad")
    return Finding("Database", f"PostgreSQL {version}, migrations up to date", "ok")


def _redis() -> Finding:
    url = settings().redis_url
    if url is None:
        return Finding("Redis", "not set: jobs wait for the sweeper", "note")
    try:
        with redis_client.Redis.from_url(url.get_secret_value(), socket_timeout=2) as client:
            info = client.info("server")
    except (redis_client.RedisError, ValueError) as error:
        return Finding("Redis", f"does not answer ({type(error).__name__})", "bad")
    state = redis_state()
    if state != "ok":
        return Finding("Redis", f"answers and takes no jobs ({state}): they wait longer", "bad")
    # Valkey also tells the version of the Redis that it stands for.
    valkey = info.get("valkey_version")
    return Finding("Redis", f"Valkey {valkey}" if valkey else str(info["redis_version"]), "ok")

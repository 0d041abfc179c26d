"""What the tests look at: processes, files and the content of the servers."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import redis

from app.embedded import Servers


def until(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    """Whether the condition holds within the time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


def server_pids(home: Path) -> dict[str, int]:
    record = json.loads((home / "servers.json").read_text())
    return {name: one["pid"] for name, one in record["running"].items()}


def socket_folder(home: Path) -> Path:
    return Path(json.loads((home / "servers.json").read_text())["sockets"])


def connect(servers: Servers) -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(servers.database_url.replace("+psycopg", ""), autocommit=True)


def ask(servers: Servers, question: str) -> Any:
    with connect(servers) as connection:
        row = connection.execute(question.encode()).fetchone()
        return row[0] if row else None


def put(servers: Servers, text: str) -> None:
    """Leave the text in both servers."""
    with connect(servers) as connection:
        # So that a killed server has it, whatever the settings of the test are.
        connection.execute("SET synchronous_commit = on")
        connection.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
        connection.execute("INSERT INTO kept VALUES (%s)", [text])
    with redis.Redis.from_url(servers.redis_client_url) as client:
        client.rpush("kept", text)


def kept(servers: Servers) -> tuple[list[str], list[str]]:
    """What was left in PostgreSQL and in Redis."""
    with connect(servers) as connection:
        rows = [row[0] for row in connection.execute("SELECT text FROM kept").fetchall()]
    with redis.Redis.from_url(servers.redis_client_url) as client:
        queue: list[bytes] = client.lrange("kept", 0, -1)
    return rows, [text.decode() for text in queue]

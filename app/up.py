"""Everything on one machine: servers, migrations, web and worker, started and stopped together.

`installation()` is for commands that need the database: it attaches to the servers that are running
on this home, or starts them for as long as the command takes.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app import database, embedded, listening, migrations
from app.closing import close_home, close_what_we_write
from app.embedded import processes
from app.embedded.processes import Identity
from app.errors import AppError
from app.pulse import Pulse, Suspensions
from app.settings import settings
from app.stopping import StopFlag

Report = Callable[[str], None]
WEB_READY_SECONDS = 60.0
RESTART_SECONDS = 2.0
# How long web or worker may stand still, stopped by a signal.
HUNG_SECONDS = 60.0
STOP_WEB = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
# A training checkpoint is written before the worker goes.
STOP_WORKER = ((signal.SIGTERM, 90.0), (signal.SIGKILL, 5.0))


def use_servers(servers: embedded.Servers) -> None:
    """Point this process, and what it starts, at these servers."""
    os.environ["MORELLI_DATABASE_URL"] = servers.database_url
    os.environ["MORELLI_REDIS_URL"] = servers.redis_client_url
    os.environ["MORELLI_HOME"] = str(settings().home)
    settings.cache_clear()
    database.engine.cache_clear()


def has_own_servers() -> bool:
    """Whether database and Redis are set from outside. Raises AppError where only one is."""
    given = (settings().database_url, settings().redis_url)
    if (given[0] is None) != (given[1] is None):
        raise AppError(
            "Only one of MORELLI_DATABASE_URL and MORELLI_REDIS_URL is set.",
            hint="Set both to use your servers, or neither to use the embedded ones.",
        )
    return given[0] is not None


@contextmanager
def installation(report: Report, *, upgrade: bool = True) -> Iterator[None]:
    """A migrated database for one command: attached, or started for as long as it takes."""
    close_what_we_write()
    if has_own_servers():
        if upgrade:
            migrations.upgrade(database.engine())
        yield
        return
    running = embedded.running(settings().home)
    if running is not None:
        use_servers(running)
        yield
        return
    with embedded.start(settings().home, report=report) as started:
        use_servers(started.servers)
        if upgrade:
            migrations.upgrade(database.engine())
        yield
        database.engine().dispose()


@dataclass
class Part:
    """A process of ours: its name, how to start it, and the child while it runs. Where it has sockets, the
    last is its own.
    """

    name: str
    command: list[str]
    stop: tuple[tuple[signal.Signals, float], ...]
    child: subprocess.Popen[bytes] | None = None
    pulse: Pulse | None = None
    sockets: listening.Sockets = ()


def web_command() -> list[str]:
    return [sys.executable, "-m", "app.serving"]


def worker_command() -> list[str]:
    """The worker, for both queues."""
    return [
        sys.executable,
        "-m",
        "celery",
        "--app",
        "worker.celery_app",
        "--quiet",
        "worker",
        "--pool",
        "threads",
        "--concurrency",
        "3",
        "--queues",
        "cpu,gpu",
        "--loglevel",
        "INFO",
        "--without-gossip",
        "--without-mingle",
    ]


class Household:
    """Web and worker while they run. What dies is started again; what they print gets a name."""

    def __init__(self, parts: list[Part], report: Report) -> None:
        self.parts = parts
        self.report = report
        self._suspensions = Suspensions(HUNG_SECONDS)

    def start(self, part: Part) -> None:
        """Start a part; its lines are printed with its name before them."""
        code = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, (code, os.environ.get("PYTHONPATH"))))
        part.child = processes.launch(
            part.command,
            folder=Path.cwd(),
            identity=Identity(),
            death_signal=signal.SIGTERM,
            output=subprocess.PIPE,
            variables={
                **os.environ,
                "PYTHONUNBUFFERED": "1",
                "PYTHONPATH": path,
                **listening.handing_on(part.sockets),
            },
            inherits=[each.fileno() for each in part.sockets],
        )
        threading.Thread(target=self._relay, args=(part.name, part.child), daemon=True).start()

    def _relay(self, name: str, child: subprocess.Popen[bytes]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.report(f"{name:>6} | {line.decode(errors='replace').rstrip()}")

    def end_the_hung(self) -> None:
        """Kill what neither ends nor works: a web server without an answer, a part that stands still."""
        for part in self.parts:
            child = part.child
            if child is None or child.poll() is not None:
                continue
            is_silent = part.pulse is not None and part.pulse.is_lost
            if is_silent or self._suspensions.is_hung(child.pid):
                self.report(f"{part.name} (process {child.pid}) does not answer; ending it.")
                child.kill()
                child.wait()
                if part.pulse is not None:
                    part.pulse.begin_again()

    def restart_the_dead(self) -> None:
        """Start again what ended without being asked to."""
        for part in self.parts:
            if part.child is not None and (code := part.child.poll()) is not None:
                self.report(f"{part.name} ended with code {code}; starting it again.")
                time.sleep(RESTART_SECONDS)
                self.start(part)

    def stop(self) -> None:
        """Stop web and worker in order; the worker gives its jobs back first."""
        for part in self.parts:
            if part.pulse is not None:
                part.pulse.end()
            for each in part.sockets:
                each.close()
        children = [(part.child, part.stop) for part in self.parts if part.child is not None]
        processes.stop_children(children, self.report)


def web_parts(public: listening.Sockets) -> list[Part]:
    """The web processes, which share the public sockets."""
    names = ["web", *(f"web {each}" for each in range(2, settings().web_processes + 1))]
    return [
        Part(name, web_command(), STOP_WEB, sockets=[*public, listening.open_own()])
        for name in names
    ]


def wait_for_web(web: Part) -> None:
    """Return when the web server answers. Raises AppError where it ends, or takes over a minute."""
    give_up = time.monotonic() + WEB_READY_SECONDS
    while time.monotonic() < give_up:
        if web.child is not None and (code := web.child.poll()) is not None:
            raise AppError(
                f"The web server ended with code {code}.", hint="Its output above says why."
            )
        try:
            address = listening.health_address(web.sockets[-1])
            with urllib.request.urlopen(address, timeout=2) as answer:  # noqa: S310
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise AppError("The web server did not start.", hint="Its output above says why.")


def _watch(household: Household, servers: embedded.Running | None, stop: StopFlag) -> None:
    while not stop.wait(1.0):
        if servers is not None:
            for death in servers.poll():
                household.report(f"{death}; starting it again.")
                servers.restart()
        household.end_the_hung()
        household.restart_the_dead()


def serve(
    *, prepare: Callable[[], str], report: Report, with_web: bool = True, with_worker: bool = True
) -> None:
    """Run everything until SIGINT or SIGTERM.

    `prepare` runs between the migrations and the start of web and worker; it seeds what there is to
    seed and returns the token of the one-time link.
    """
    stop = StopFlag()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with everything(report, with_web=with_web, with_worker=with_worker, prepare=prepare) as run:
        household, servers, token = run
        # In one piece, so that no line of web or worker comes between them.
        address = settings().public_address
        report(f"Morelli is at {address}\nSign in once with {address}/welcome/{token}")
        _watch(household, servers, stop)
        report("Stopping; work in hand is kept and goes on at the next start.")


@contextmanager
def everything(
    report: Report, *, with_web: bool, with_worker: bool, prepare: Callable[[], str]
) -> Iterator[tuple[Household, embedded.Running | None, str]]:
    """Servers, migrations, `prepare`, web and worker; all stopped in order at the end."""
    own = has_own_servers()
    close_what_we_write()
    with ExitStack() as ending:
        public = listening.open_public() if with_web else []
        for each in public:
            ending.enter_context(each)
        if (open_before := close_home(settings().home)) > 0:
            report(
                f"{open_before} files and folders below {settings().home} were open to others; closed."
            )
        servers = None if own else embedded.start(settings().home, report=report)
        if servers is not None:
            ending.callback(servers.stop)
            use_servers(servers.servers)
        migrations.upgrade(database.engine())
        token = prepare()
        # Closed before other processes start, so that no connection is shared with them.
        database.engine().dispose()
        worker = [Part("worker", worker_command(), STOP_WORKER)] if with_worker else []
        web = web_parts(public) if with_web else []
        household = Household([*worker, *web], report)
        ending.callback(household.stop)
        for part in household.parts:
            household.start(part)
        for part in web:
            wait_for_web(part)
            part.pulse = Pulse(listening.health_address(part.sockets[-1]))
        yield household, servers, token

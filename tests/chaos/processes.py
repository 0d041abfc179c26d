"""Real processes of a real installation: started, watched, killed, and never left behind."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from app import database, embedded, settings
from app.embedded.processes import Mark, mark, program_of
from app.jobs import queueing

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 90.0
# What `morelli up` says when everything runs.
READY = "Sign in once with"


def wait_until(is_so: Callable[[], object], what: str, seconds: float = SECONDS) -> None:
    """Return when it is so; fail, saying what did not happen, when that takes too long."""
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)


def words_of(pid: int) -> list[str]:
    """The command line of a process."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return []


def children_of(pid: int) -> list[int]:
    """Processes that a process has started itself."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    return [child for child, parent in parents.items() if parent == pid]


def family_of(pid: int) -> set[Mark]:
    """A process and everything below it that is alive."""
    known = mark(pid)
    found = {known} if known else set()
    for child in children_of(pid):
        found |= family_of(child)
    return found


class Program:
    """A program of ours with every process that it was ever seen to have."""

    def __init__(self, command: Sequence[str], log: Path, variables: dict[str, str]) -> None:
        self.log = log
        self.seen: set[Mark] = set()
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**variables, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )

    def is_running(self) -> bool:
        return self.process.poll() is None

    def family(self) -> set[Mark]:
        """Its processes that are alive, also those whose parent is gone."""
        self.seen |= family_of(self.process.pid)
        return {each for each in self.seen if each.is_alive()}

    def child(self, word: str) -> int:
        """The process that it has started itself with this word in its name or command line."""
        found = [
            pid
            for pid in children_of(self.process.pid)
            if program_of(pid) == word or word in words_of(pid)
        ]
        assert len(found) == 1, (word, found, self.said())
        return found[0]

    def kill(self) -> None:
        """Kill -9, this one process and nothing else."""
        self.family()
        self.process.kill()
        self.process.wait()

    def clean_up(self) -> None:
        """Leave nothing behind, however the test went."""
        for each in self.family():
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        self.process.wait()

    def is_ready(self) -> bool:
        return READY in self.log.read_text(errors="replace")

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


def outside_variables() -> dict[str, str]:
    """Our environment without any setting of an installation."""
    return {name: value for name, value in os.environ.items() if not name.startswith("MORELLI_")}


class House:
    """An installation of its own: a home, a port, and `morelli up` on it."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.folder = folder
        self.port = _free_port()
        self.programs: list[Program] = []

    def up(self, *options: str) -> Program:
        """`morelli up`; returns when it has said that it is there.

        The web server answers a moment earlier, and what happens to it then happens to a start.
        """
        program = self.start(*options)
        wait_until(lambda: program.is_ready() or not program.is_running(), "it is there")
        assert program.is_running(), program.said()
        return program

    def start(self, *options: str) -> Program:
        """`morelli up`; returns at once."""
        command = [sys.executable, "-m", "app.cli", "up", *options]
        places = {"MORELLI_HOME": str(self.home), "MORELLI_PORT": str(self.port)}
        log = self.folder / f"output-{len(self.programs)}.txt"
        program = Program(command, log, outside_variables() | places)
        self.programs.append(program)
        return program

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as got:
                return bool(got.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Verbs of this process work on this installation."""
        servers = embedded.running(self.home)
        assert servers is not None
        with pytest.MonkeyPatch.context() as patch:
            for name in os.environ.keys() - outside_variables().keys():
                patch.delenv(name)
            patch.setenv("MORELLI_HOME", str(self.home))
            patch.setenv("MORELLI_DATABASE_URL", servers.database_url)
            patch.setenv("MORELLI_REDIS_URL", servers.redis_client_url)
            _forget_settings()
            try:
                yield
            finally:
                _forget_settings()
        _forget_settings()

    def clean_up(self) -> None:
        for program in self.programs:
            program.clean_up()


def _forget_settings() -> None:
    if database.engine.cache_info().currsize:
        database.engine().dispose()
    settings.settings.cache_clear()
    database.engine.cache_clear()
    queueing._celery.cache_clear()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

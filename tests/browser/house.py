"""A whole Morelli for one test: `morelli up` in a home and on a port of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

START_SECONDS = 90.0
STOP_SECONDS = 120.0
FAULTS = ("Traceback (most recent call last)", "ended with code")
END_OF_TRACEBACK = re.compile(r"\| (?:\w+\.)*[A-Z]\w+(?::|$)")


@dataclass(frozen=True)
class House:
    """A running installation: its folder, its address, the one-time link, what it printed, and its process."""

    home: Path
    address: str
    link: str
    lines: list[str]
    pid: int

    def faults(self) -> list[str]:
        """What was printed around errors that nobody caught."""
        found = [at for at, line in enumerate(self.lines) if any(each in line for each in FAULTS)]
        return ["\n".join(_shortened(self.lines[max(0, at - 1) :])) for at in found]


def _shortened(lines: list[str]) -> list[str]:
    """A traceback's first lines and its last, which says what happened."""
    ends = [at for at, line in enumerate(lines) if at > 1 and END_OF_TRACEBACK.search(line)]
    return [*lines[:2], *lines[ends[0] - 2 : ends[0] + 1]] if ends else lines[:20]


def free_port() -> int:
    """A port of this machine that nobody uses."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(home: Path) -> dict[str, str]:
    """What a program of the installation in `home` is started with. Settings that the tests of this
    process have made, such as another database, are left out.
    """
    given = {name: value for name, value in os.environ.items() if not name.startswith("MORELLI_")}
    return {**given, "MORELLI_HOME": str(home), "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


@contextmanager
def morelli_up(home: Path, *options: str) -> Iterator[House]:
    """`morelli up` until the block is left, then stopped as by Ctrl-C. It has to end with code 0."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "up", *options],
        env={**environment(home), "MORELLI_PORT": str(port)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []
    ready = threading.Event()
    threading.Thread(target=_read, args=(process, lines, ready), daemon=True).start()
    try:
        link = _link(process, lines, ready)
        yield House(home, f"http://127.0.0.1:{port}", link, lines, process.pid)
        process.send_signal(signal.SIGINT)
        assert process.wait(STOP_SECONDS) == 0, "\n".join(lines[-30:])
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                # What it started ends with it.
                process.kill()
                process.wait()


def _read(process: subprocess.Popen[str], lines: list[str], ready: threading.Event) -> None:
    assert process.stdout is not None
    with process.stdout as said:
        for line in said:
            lines.append(line.rstrip())
            if "/welcome/" in line:
                ready.set()
    ready.set()


def _link(process: subprocess.Popen[str], lines: list[str], ready: threading.Event) -> str:
    began = time.monotonic()
    ready.wait(START_SECONDS)
    links = [line.split()[-1] for line in lines if "/welcome/" in line]
    assert links, f"no link after {time.monotonic() - began:.0f} s:\n" + "\n".join(lines[-40:])
    assert process.poll() is None
    return links[-1]

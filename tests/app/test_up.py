"""`morelli up` as a person uses it: start, sign in, survive a crash, stop, start again."""

import http.client
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from app import up
from app.errors import AppError

pytestmark = pytest.mark.skipif(
    not Path("/proc/self").exists(), reason="children are found in /proc"
)
SECONDS = 120.0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(home: Path, port: int) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("MORELLI_")}
    return plain | {"MORELLI_HOME": str(home), "MORELLI_PORT": str(port)}


def command(*more: str) -> list[str]:
    return [sys.executable, "-m", "app.cli", "up", "--no-seed", *more]


class Started:
    """A running `morelli up` whose lines are read as they come; of the code in `site`, where given."""

    def __init__(self, home: Path, port: int, site: Path | None = None, processes: int = 1) -> None:
        self.port = port
        self.child = subprocess.Popen(
            command(),
            env=environment(home, port)
            | {"MORELLI_WEB_PROCESSES": str(processes)}
            | ({"PYTHONPATH": str(site)} if site else {}),
            cwd=site,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._coming: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.child.stdout is not None
        with self.child.stdout as said:
            for line in said:
                self._coming.put(line.rstrip("\n"))
        self._coming.put(None)

    def wait_for(self, words: str) -> str:
        """The next line that holds these words."""
        give_up = time.monotonic() + SECONDS
        while time.monotonic() < give_up:
            line = self._coming.get(timeout=SECONDS)
            assert line is not None, "\n".join(self.lines)
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError("\n".join(self.lines))

    def ask(
        self, path: str, cookie: str = "", *, method: str = "GET"
    ) -> tuple[int, dict[str, str], str]:
        """One request without following redirects."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        with closing(connection):
            connection.request(method, path, headers={"Cookie": cookie} if cookie else {})
            answer = connection.getresponse()
            headers = dict(answer.getheaders())
            # Several cookies are set at once; a browser sends back their names and values alone.
            cookies = answer.headers.get_all("set-cookie") or []
            headers["set-cookie"] = "; ".join(each.partition(";")[0] for each in cookies)
            return answer.status, headers, answer.read().decode()

    def stop(self, number: int) -> int:
        self.child.send_signal(number)
        return self.child.wait(timeout=SECONDS)


@contextmanager
def started(
    home: Path, port: int, site: Path | None = None, processes: int = 1
) -> Iterator[Started]:
    running = Started(home, port, site, processes)
    try:
        yield running
    finally:
        if running.child.poll() is None:
            running.stop(signal.SIGTERM)


def descendants(pid: int) -> dict[int, str]:
    """All processes below one, with their commands."""
    below: dict[int, list[int]] = {}
    commands: dict[int, str] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                commands[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue
            below.setdefault(parent, []).append(int(entry.name))
    found: dict[int, str] = {}
    waiting = [pid]
    while waiting:
        for child in below.get(waiting.pop(), []):
            found[child] = commands[child]
            waiting.append(child)
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_up_from_start_to_stop_and_again(tmp_path: Path) -> None:
    home, port = tmp_path / "home", free_port()
    with started(home, port) as first:
        link = first.wait_for("Sign in once with").removeprefix("Sign in once with ")
        address = f"http://127.0.0.1:{port}"
        assert first.lines[-2:] == [f"Morelli is at {address}", f"Sign in once with {link}"]
        assert link.startswith(f"{address}/welcome/")
        status, _, body = first.ask("/readyz")
        assert (status, '"ok"' in body) == (200, True), body

        assert first.ask(urlsplit(link).path)[0] == 200  # looking uses nothing up
        status, headers, _ = first.ask(urlsplit(link).path, method="POST")
        assert status == 303
        cookie = headers["set-cookie"]
        assert first.ask("/", cookie)[0] == 200
        assert first.ask("/")[1]["location"].startswith("/sign-in")
        assert first.ask(urlsplit(link).path)[0] == 404  # once is once

        other = tmp_path / "other"
        taken = subprocess.run(
            command(), env=environment(other, port), capture_output=True, text=True, check=False
        )
        assert taken.returncode == 1
        assert taken.stderr.startswith(f"morelli: Port {port} of 127.0.0.1 cannot be used")
        assert len(taken.stderr.splitlines()) == 1
        assert not other.exists()

        children = descendants(first.child.pid)
        (web,) = (pid for pid, line in children.items() if "app.serving" in line)
        assert any("celery" in line for line in children.values())
        assert any("postgres" in line for line in children.values())
        assert any("valkey" in line for line in children.values())
        os.kill(web, signal.SIGKILL)
        first.wait_for("web ended with code -9; starting it again.")
        wait_until_ready(first)
        children = descendants(first.child.pid)
        assert web not in children
        assert first.ask("/", cookie)[0] == 200

        assert first.stop(signal.SIGINT) == 0
        first.wait_for("Stopping; work in hand is kept")
        assert [line for pid, line in children.items() if is_alive(pid)] == []

    with started(home, port) as second:
        again = second.wait_for("Sign in once with").removeprefix("Sign in once with ")
        assert again != link
        assert second.ask("/", cookie)[0] == 200  # the account and its session are still there
        assert second.stop(signal.SIGTERM) == 0


def wait_until_ready(running: Started) -> None:
    give_up = time.monotonic() + SECONDS
    while time.monotonic() < give_up:
        try:
            if running.ask("/readyz")[0] == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("\n".join(running.lines))


def web_pids(running: Started) -> list[int]:
    return [pid for pid, line in descendants(running.child.pid).items() if "app.serving" in line]


def test_of_several_web_processes_one_is_killed_another_hangs_and_nobody_is_refused(
    tmp_path: Path,
) -> None:
    with started(tmp_path / "home", free_port(), processes=2) as running:
        running.wait_for("Sign in once with")
        first, second = web_pids(running)
        for pid in (first, second):
            # A process that stands still takes no connection, so that all come to the other one.
            os.kill(pid, signal.SIGSTOP)
            assert {running.ask("/readyz")[0] for _ in range(20)} == {200}
            os.kill(pid, signal.SIGCONT)
        os.kill(second, signal.SIGSTOP)
        os.kill(first, signal.SIGKILL)
        # Nobody works now: who comes waits for the next process and is not refused.
        assert running.ask("/readyz")[0] == 200
        running.wait_for(f"(process {second}) does not answer; ending it.")
        running.wait_for("ended with code -9; starting it again.")
        wait_until(lambda: len({*web_pids(running)} - {first, second}) == 2)
        assert running.stop(signal.SIGTERM) == 0


def wait_until(is_so: Callable[[], bool]) -> None:
    give_up = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def test_a_web_server_that_ends_at_once_is_told_without_waiting() -> None:
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    child.wait()
    part = up.Part("web", [], up.STOP_WEB, child)
    with pytest.raises(AppError, match=r"The web server ended with code 3\."):
        up.wait_for_web(part)

"""Slow addresses: do other jobs start, and does cancelling work, while imports wait for servers that drip?

    python -m bench.slow_addresses [--rounds 5]

Starts an installation of its own and servers on loopback: one sends its header byte by byte, one its body, one
an endless row of `103 Early Hints`, one nothing, and one is silent when asked for a TLS handshake. An import asks each of them; meanwhile an agent run is launched
and timed until it starts, then the imports are cancelled and timed until they have ended. Exit code 1 where another job waited 2 s or more, or a cancel took 5 s or more.
"""

import argparse
import json
import os
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from app.accounts.tokens import create_token
from app.database import unit_of_work
from app.demo.seeding import SLUG
from bench import machine
from bench.demo_house import add_lead, demo_house

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 1000000\r\n"
START_BAR, CANCEL_BAR = 2.0, 5.0
OVER = {"cancelled", "succeeded", "failed"}


def drip_header(to: socket.socket) -> None:
    """One byte of a header every half second."""
    to.sendall(HEAD)
    while True:
        to.sendall(b"X")
        time.sleep(0.5)


def drip_body(to: socket.socket) -> None:
    """One byte of a picture every half second."""
    to.sendall(HEAD + b"\r\n")
    while True:
        to.sendall(b"\x89")
        time.sleep(0.5)


def endless_hints(to: socket.socket) -> None:
    """Informational answers without end."""
    while True:
        to.sendall(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        time.sleep(0.05)


def silent(to: socket.socket) -> None:
    """Nothing, for ever."""
    while to.recv(4096):
        pass


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that answers so; its address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def each(to: socket.socket) -> None:
        try:
            to.recv(4096)
            answer(to)
        except OSError:
            to.close()

    def go() -> None:
        try:
            while True:
                to, _ = listening.accept()
                threading.Thread(target=each, args=(to,), daemon=True).start()
        except OSError:
            return

    threading.Thread(target=go, daemon=True).start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/picture.png"
    listening.close()


class Client:
    """Asks the JSON API with a lead's token."""

    def __init__(self, port: int) -> None:
        person = add_lead()
        with unit_of_work() as db:
            self._token = create_token(db, person, "bench")[1]
        self._root = f"http://127.0.0.1:{port}/api/v1/projects/{SLUG}"

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The answer's JSON."""
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._root + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{method} {path}: {error.read().decode()}") from error

    def wait(self, job: int, states: set[str]) -> float:
        """Seconds until a job is in one of these states."""
        began = time.monotonic()
        while self.ask("GET", f"/jobs/{job}")["state"] not in states:
            if time.monotonic() - began > 60:
                break
            time.sleep(0.02)
        return time.monotonic() - began


def measure(client: Client, addresses: list[str]) -> tuple[float, float]:
    """Seconds until an agent run started, and until all the imports had ended once they were cancelled."""
    imports = [client.ask("POST", "/images/imports", {"url": each})["job_id"] for each in addresses]
    for each in imports:
        client.wait(each, {"running"})
    time.sleep(1)
    other = client.ask("POST", "/agent-runs", {})["job_id"]
    started = client.wait(other, {"running", *OVER})
    began = time.monotonic()
    for each in imports:
        client.ask("POST", f"/jobs/{each}/cancel")
    for each in imports:
        client.wait(each, OVER)
    ended = time.monotonic() - began
    client.ask("POST", f"/jobs/{other}/cancel")
    client.wait(other, OVER)
    return started, ended


def main() -> None:
    """Start, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    wanted = parser.parse_args()
    print(machine.describe())
    networks = {"MORELLI_ALLOW_PRIVATE_FETCH": '["127.0.0.0/8"]'}
    with demo_house(with_worker=True, **networks) as house, ExitStack() as stack:
        kinds = (drip_header, drip_body, endless_hints, silent, silent)
        addresses = [stack.enter_context(serving(each)) for each in kinds]
        addresses[-1] = addresses[-1].replace("http:", "https:")
        client = Client(house.port)
        measured = [measure(client, addresses) for _ in range(wanted.rounds)]
        started, ended = zip(*measured, strict=True)
        print(f"load average {os.getloadavg()[0]:.1f}\n")
    for name, found, bar in (
        ("another job started after", started, START_BAR),
        ("the cancelled imports had ended after", ended, CANCEL_BAR),
    ):
        print(
            f"{name:<36}{len(found):>3} times: p50 {sorted(found)[len(found) // 2]:.2f} s,"
            f" max {max(found):.2f} s (bar {bar:.0f} s)"
        )
    sys.exit(0 if max(started) < START_BAR and max(ended) < CANCEL_BAR else 1)


if __name__ == "__main__":
    main()

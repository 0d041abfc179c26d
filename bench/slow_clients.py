"""Slow clients: are other people's requests fast meanwhile, and are slow connections closed in the end?

    python -m bench.slow_clients [--seconds 200]

Starts an installation of its own on loopback. Four crowds come one after the other: 500 connections that drip
the headers of a request, 300 that drip a sign-in form, 200 that ask for all that is big, again and again, and
never read it, and 300 that asked once and stay. For each: the times of another person's pages and of sign-ins beside it, open
files and memory of the web server at their most, how many connections it still held at the end, and after how long
it held none of the crowd any more. Exit code 1 where a request beside took 2 s or a connection outlived the time.
"""

import argparse
import asyncio
import os
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.demo.seeding import SLUG
from bench import machine
from bench.demo_house import House, cookies_of, demo_house, memory_of
from bench.load import ask

REQUEST_BAR = 2.0
# Connections of the server that come and go beside a crowd.
BESIDE = 5
COMING_SECONDS = 5.0
BIG = [
    f"/api/v1/projects/{SLUG}/criteria/export?format=json",
    f"/projects/{SLUG}/criteria",
    f"/projects/{SLUG}/images/1/display",
    f"/api/v1/projects/{SLUG}/images?limit=200",
]


@dataclass(frozen=True)
class Asked:
    """Where one client goes, as whom, and which of its crowd it is."""

    port: int
    cookie: str
    number: int


Client = Callable[[Asked], Coroutine[None, None, None]]


@dataclass
class Seen:
    """What was seen while one crowd was there."""

    pages: list[float] = field(default_factory=list)
    sign_ins: list[float] = field(default_factory=list)
    files: int = 0
    memory: int = 0


async def _drip(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(1)


async def _until_closed(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _first(*work: Coroutine[None, None, None]) -> None:
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def drip_head(asked: Asked) -> None:
    """One byte of a header a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Odd: ")
    await _first(_drip(writer), _until_closed(reader))
    writer.close()


async def drip_form(asked: Asked) -> None:
    """One byte of a sign-in form a second."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    head = f"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1:{asked.port}\r\nContent-Length: 500\r\n"
    kind = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    writer.write((head + kind).encode())
    await _first(_drip(writer), _until_closed(reader))
    writer.close()


async def never_read(asked: Asked) -> None:
    """Ask for something big four times in one connection, and read nothing of it."""
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    narrow.setblocking(False)
    await asyncio.get_running_loop().sock_connect(narrow, ("127.0.0.1", asked.port))
    _, writer = await asyncio.open_connection(sock=narrow, limit=1024)
    path = BIG[asked.number % len(BIG)]
    one = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{asked.port}\r\nCookie: {asked.cookie}\r\n\r\n"
    writer.write(one.encode() * 4)
    try:
        await asyncio.Event().wait()
    finally:
        writer.close()


async def stay(asked: Asked) -> None:
    """Ask once and stay."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.port)
    writer.write(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{asked.port}\r\n\r\n".encode())
    await _until_closed(reader)
    writer.close()


CROWDS: tuple[tuple[str, int, Client], ...] = (
    ("500 drip a header", 500, drip_head),
    ("300 drip a sign-in form", 300, drip_form),
    ("200 never read", 200, never_read),
    ("300 stay", 300, stay),
)


async def _sign_in(port: int) -> float:
    began = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b"email=nobody@example.org&password=wrong"
    writer.write(
        f"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    await reader.read()
    writer.close()
    return time.perf_counter() - began


async def _beside(port: int, cookie: str, seen: Seen, over: asyncio.Event) -> None:
    while not over.is_set():
        status, took = await ask(port, f"/projects/{SLUG}/images", cookie)
        seen.pages.append(took if status == 200 else float("inf"))
        seen.sign_ins.append(await _sign_in(port))
        await asyncio.sleep(0.2)


def _files_of(web: int) -> int:
    return len(list(Path(f"/proc/{web}/fd").iterdir()))


# ESTABLISHED and CLOSE_WAIT, as the kernel numbers the states of TCP.
_HELD = ("01", "08")


def _connections_of(port: int) -> int:
    """Connections of clients that the server holds; it has files and database connections besides."""
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(1 for row in rows if row[1].endswith(f":{port:04X}") and row[3] in _HELD)


async def _look(web: int, seen: Seen, over: asyncio.Event) -> None:
    while not over.is_set():
        seen.files = max(seen.files, _files_of(web))
        seen.memory = max(seen.memory, memory_of(web))
        await asyncio.sleep(0.2)


async def measure(
    house: House, cookies: tuple[str, str], crowd: tuple[str, int, Client], seconds: float
) -> bool:
    """One crowd with the first cookie, and who is beside it with the second; prints its row, and returns
    whether all was well.
    """
    name, number, client = crowd
    theirs, beside_them = cookies
    seen, over, before = Seen(), asyncio.Event(), _connections_of(house.port)

    async def live(each: int) -> None:
        with suppress(OSError):
            await client(Asked(house.port, theirs, each))

    beside = [
        asyncio.ensure_future(_beside(house.port, beside_them, seen, over)),
        asyncio.ensure_future(_look(house.web, seen, over)),
    ]
    slow = [asyncio.ensure_future(live(each)) for each in range(number)]
    # Looked at where it matters: a client that does not read would not see that it was closed.
    began = time.monotonic()
    await asyncio.sleep(COMING_SECONDS)
    while (
        left := _connections_of(house.port) - before
    ) > BESIDE and time.monotonic() - began < seconds:
        await asyncio.sleep(0.5)
    took = time.monotonic() - began
    over.set()
    await asyncio.gather(*beside)
    for each in slow:
        each.cancel()
    await asyncio.gather(*slow, return_exceptions=True)
    print(
        f"{name:<26}{_times(seen.pages)}{_times(seen.sign_ins)}{seen.files:>7}{seen.memory / 1024**2:>8.0f} MiB"
        f"{max(left, 0):>12}{took:>7.0f} s"
    )
    return left <= BESIDE and max(*seen.pages, *seen.sign_ins) < REQUEST_BAR


def _times(took: list[float]) -> str:
    ordered = sorted(took)
    return f"{ordered[len(ordered) // 2]:>6.2f} {ordered[-1]:>6.2f} s  "


def main() -> None:
    """Start, come, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=200)
    wanted = parser.parse_args()
    print(machine.describe())
    with demo_house() as house:
        theirs, beside = cookies_of(2)
        print(f"load average {os.getloadavg()[0]:.1f}\n")
        print(
            f"{'crowd':<26}{'page: half, most':<18}{'sign-in: half, most':<17}{'files':>5}{'memory':>10}"
            f"{'still open':>15}{'longest':>9}"
        )
        nobody: tuple[str, int, Client] = ("1 stays", 1, stay)
        well = [
            asyncio.run(measure(house, (theirs, beside), each, wanted.seconds))
            for each in (nobody, *CROWDS)
        ]
    sys.exit(0 if all(well) else 1)


if __name__ == "__main__":
    main()

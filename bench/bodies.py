"""Bodies of 1 GB from nobody, in every type and every way to send them: how soon are they refused, and what
do they cost the web server meanwhile?

    python -m bench.bodies [--at-once 4]

Starts an installation of its own on loopback with a web server and no worker. Each row is one way to send to
all addresses in all types: the statuses, the slowest answer, the most bytes that were sent before it came, and
how much the memory of the web server and the disk (home and temporary folder) grew. Exit code 1 where an answer
came after a second, was no refusal, or memory or disk grew by 20 MB.
"""

import argparse
import asyncio
import itertools
import os
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from app.demo.seeding import SLUG
from bench import machine
from bench.demo_house import demo_house, memory_of

GIGABYTE = 10**9
PIECE = b"0123456789abcdef" * 4096
ANSWER_BAR, GROWTH_BAR = 1.0, 20 * 10**6
CLIENT_SECONDS = 20.0
# Refusals: who are you, no such thing or method, too large, a type that is not read. A page that is
# only asked for is shown without a look at the body (200).
REFUSED = {200, 303, 401, 404, 405, 413, 415}

TYPES = (
    "application/json",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
    "application/octet-stream",
    "text/plain",
    "",
)
ADDRESSES = (
    "POST /api/v1/projects",
    f"POST /api/v1/projects/{SLUG}/images/imports",
    f"POST /api/v1/projects/{SLUG}/images/captions",
    f"PUT /api/v1/projects/{SLUG}/images/1/done",
    "PUT /api/v1/audit/nobody/items/1",
    "POST /sign-in",
    "POST /account/profile",
    f"POST /projects/{SLUG}/images/import/files",
    "POST /nowhere",
    "GET /sign-in",
    "POST /static/app.css",
    "POST /healthz",
)


@dataclass(frozen=True)
class Way:
    """One way to send a body: what the headers say of it, and how its bytes come."""

    name: str
    headers: tuple[str, ...]
    chunked: bool = False
    waits_for_100: bool = False
    slowly: bool = False


DECLARED = f"Content-Length: {GIGABYTE}"
CHUNKED = "Transfer-Encoding: chunked"
WAYS = (
    Way("a declared length", (DECLARED,)),
    Way("chunked", (CHUNKED,), chunked=True),
    Way("declared, Expect: 100-continue", (DECLARED, "Expect: 100-continue"), waits_for_100=True),
    Way("chunked, Expect: 100-continue", (CHUNKED, "Expect: 100-continue"), True, True),
    Way("declared, Content-Encoding: gzip", (DECLARED, "Content-Encoding: gzip")),
    Way("chunked, Content-Encoding: gzip", (CHUNKED, "Content-Encoding: gzip"), chunked=True),
    Way("declared, one byte a second", (DECLARED,), slowly=True),
)


@dataclass
class Row:
    """What came of one way."""

    statuses: Counter[int] = field(default_factory=Counter)
    slowest: float = 0.0
    sent: int = 0
    memory: int = 0
    disk: int = 0
    slowest_at: str = ""

    @property
    def is_well(self) -> bool:
        """Whether all was refused, soon and cheaply."""
        return (
            set(self.statuses) <= REFUSED
            and self.slowest < ANSWER_BAR
            and max(self.memory, self.disk) < GROWTH_BAR
        )


async def _pieces(way: Way) -> AsyncIterator[bytes]:
    if way.slowly:
        while True:
            yield b"x"
            await asyncio.sleep(1)
    for _ in range(GIGABYTE // len(PIECE)):
        yield b"%x\r\n%s\r\n" % (len(PIECE), PIECE) if way.chunked else PIECE


async def send(port: int, address: str, kind: str, way: Way, row: Row) -> None:
    """One request that never stops sending by itself; what came of it goes into the row."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{address} HTTP/1.1", f"Host: 127.0.0.1:{port}", *way.headers]
    lines += [f"Content-Type: {kind}"] if kind else []
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    sent = 0

    async def push() -> None:
        nonlocal sent
        with suppress(OSError):
            async for piece in _pieces(way):
                writer.write(piece)
                sent += len(piece)
                await writer.drain()

    began = time.perf_counter()
    pushing = None if way.waits_for_100 else asyncio.ensure_future(push())
    status = 0
    with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
        async with asyncio.timeout(CLIENT_SECONDS):
            status = await _status(reader)
            if status == 100:
                pushing = asyncio.ensure_future(push())
                status = await _status(reader)
    took = time.perf_counter() - began
    if pushing is not None:
        pushing.cancel()
    writer.close()
    row.statuses[status] += 1
    row.sent = max(row.sent, sent)
    if took > row.slowest:
        row.slowest, row.slowest_at = took, f"{address} ({kind or 'no type'})"


async def _status(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    found = re.match(rb"HTTP/1.1 (\d+)", head)
    return int(found.group(1)) if found else 0


async def send_all(port: int, way: Way, row: Row, at_once: int) -> None:
    """To every address in every type, so many at a time."""
    places = asyncio.Semaphore(at_once)

    async def one(address: str, kind: str) -> None:
        async with places:
            await send(port, address, kind, way, row)

    await asyncio.gather(*(one(*each) for each in itertools.product(ADDRESSES, TYPES)))


def _open_files(pid: int) -> int:
    """Bytes of files that a process holds open without a name, as temporary ones are."""
    total = 0
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(OSError):
            if "(deleted)" in os.readlink(each):
                total += each.stat().st_size
    return total


def _size_of(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += (Path(parent) / name).lstat().st_size
    return total


@contextmanager
def watched(web: int, folder: Path, row: Row) -> Iterator[None]:
    """Look at memory and disk meanwhile, twenty times a second; the row keeps the most."""

    def disk() -> int:
        return _open_files(web) + _size_of(folder)

    memory_before, disk_before = memory_of(web), disk()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.05):
            row.memory = max(row.memory, memory_of(web) - memory_before)
            row.disk = max(row.disk, disk() - disk_before)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()


def measure(port: int, web: int, folder: Path, at_once: int) -> bool:
    """Every way, one row each; returns whether all was well."""
    well = True
    # What a process loads after its start and for its first requests is no cost of bodies.
    asyncio.run(send_all(port, WAYS[2], Row(), at_once))
    _settle(web)
    print(
        f"{'way':<36}{'requests':>9}  {'slowest':>8}  {'sent':>8}  {'memory':>8}  {'disk':>8}  statuses"
    )
    for way in WAYS:
        row = Row()
        with watched(web, folder, row):
            asyncio.run(send_all(port, way, row, at_once))
        well = well and row.is_well
        print(
            f"{way.name:<36}{row.statuses.total():>9}  {row.slowest:>6.2f} s  {_mb(row.sent):>8}"
            f"  {_mb(row.memory):>8}  {_mb(row.disk):>8}  {dict(sorted(row.statuses.items()))}"
        )
        if row.slowest >= ANSWER_BAR:
            print(f"{'':<36}slowest: {row.slowest_at}")
    return well


def _settle(web: int) -> None:
    """Wait until the web server's memory stands still."""
    last, still = memory_of(web), 0
    for _ in range(60):
        time.sleep(1)
        now = memory_of(web)
        still = still + 1 if abs(now - last) < 10**6 else 0
        last = now
        if still == 5:
            return


def _mb(number: int) -> str:
    return f"{number / 10**6:.1f} MB"


def main() -> None:
    """Start, send, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--at-once", type=int, default=4)
    wanted = parser.parse_args()
    print(machine.describe())
    with demo_house() as house:
        print(f"load average {os.getloadavg()[0]:.1f}\n")
        well = measure(house.port, house.web, house.folder, wanted.at_once)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()

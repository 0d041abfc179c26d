"""Many at once: pages, thumbnails and JSON asked for in parallel, while `/healthz` is asked beside it.

    python -m bench.load [--at-once 500] [--people 50] [--readers 200] [--seconds 60] [--busy 0]

Starts an installation of its own with the demo project, on loopback, and prints for each kind of crowd
the statuses, the times, the slowest `/healthz` and the most memory that the web server took. Exit code 1
where anything was answered with an error or not at all. `--busy N` keeps N processors busy meanwhile.
"""

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select, update

from app.accounts.models import SignIn
from app.database import unit_of_work
from app.demo.seeding import SLUG
from app.images.models import Image
from bench import machine
from bench.demo_house import House, cookies_of, demo_house, memory_of

CLIENT_SECONDS = 120.0
IDLE_SECONDS = 10.0


@dataclass
class Crowd:
    """What came of one crowd: seconds of each answer, and statuses (0: no answer)."""

    name: str
    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)

    def took(self, share: float) -> float:
        """The time within which this share of the answers came."""
        return sorted(self.seconds)[int(share * (len(self.seconds) - 1))]


def addresses(images: list[int]) -> list[str]:
    """What people ask for: a wall's thumbnails above all, pages, JSON."""
    root, api = f"/projects/{SLUG}", f"/api/v1/projects/{SLUG}"
    found = []
    for number, image in enumerate(images):
        found += [f"{root}/images/{image}/thumb"] * 4
        found += [f"{root}/images/{image}", f"{api}/images/{image}/labels"]
        found += [
            [root, f"{api}/overview"],
            [f"{root}/images", f"{api}/images"],
            [f"{root}/criteria", f"{api}/criteria/search?q=edge"],
            [f"{root}/jobs", "/account"],
            [f"{root}/images/{image}/display", f"{api}/jobs"],
        ][number % 5]
    return found


async def ask(port: int, path: str, cookie: str) -> tuple[int, float]:
    """One request on a connection of its own; status 0 where no whole answer came."""
    began = time.perf_counter()
    try:
        status = await asyncio.wait_for(_ask(port, path, cookie), CLIENT_SECONDS)
    except (OSError, TimeoutError, ValueError, IndexError, asyncio.IncompleteReadError):
        status = 0
    return status, time.perf_counter() - began


async def _ask(port: int, path: str, cookie: str) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: close"]
        lines += [f"Cookie: {cookie}", "Accept-Encoding: gzip"] if cookie else []
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        body = await reader.read()
        while more := await reader.read():
            body += more
        length = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
        if length and int(length.group(1)) != len(body):
            return 0
        return int(head.split()[1])
    finally:
        writer.close()


async def at_once(
    crowd: Crowd, port: int, number: int, cookies: list[str], paths: list[str]
) -> None:
    """`number` requests in the same moment."""
    asked = [
        ask(port, path, cookie)
        for path, cookie in zip(
            itertools.islice(itertools.cycle(paths), number), itertools.cycle(cookies), strict=False
        )
    ]
    for status, seconds in await asyncio.gather(*asked):
        crowd.statuses[status] += 1
        crowd.seconds.append(seconds)


async def readers(
    crowd: Crowd, port: int, number: int, cookies: list[str], paths: list[str], seconds: float
) -> None:
    """`number` readers, each asking for the next thing as soon as the last one is there."""
    ends = time.monotonic() + seconds

    async def read(first: int) -> None:
        for place in itertools.count(first):
            if time.monotonic() > ends:
                return
            path = paths[place % len(paths)]
            status, took = await ask(port, path, cookies[first % len(cookies)])
            crowd.statuses[status] += 1
            crowd.seconds.append(took)

    await asyncio.gather(*(read(each) for each in range(number)))


def ask_health(port: int, stop_file: str) -> None:
    """Ask `/healthz` 20 times a second until the file is there; print the times. A process of its own."""

    async def go() -> list[float]:
        took = []
        print("asking", flush=True)
        while not Path(stop_file).exists():
            status, seconds = await ask(port, "/healthz", "")
            took.append(seconds if status == 200 else CLIENT_SECONDS)
            await asyncio.sleep(0.05)
        return took

    print(json.dumps(asyncio.run(go())))


@contextmanager
def watched(port: int, web: int, crowd: Crowd) -> Iterator[None]:
    """Ask `/healthz` and look at the memory of the web server meanwhile; print what came out."""
    most, over = 0, threading.Event()

    def look() -> None:
        nonlocal most
        while not over.wait(0.1):
            most = max(most, memory_of(web))

    with tempfile.TemporaryDirectory() as folder:
        stop = Path(folder) / "stop"
        code = f"from bench.load import ask_health; ask_health({port}, {str(stop)!r})"
        asking = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert asking.stdout is not None
        asking.stdout.readline()
        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield
        finally:
            over.set()
            stop.touch()
            looking.join()
            said, _ = asking.communicate(timeout=CLIENT_SECONDS)
    health = sorted(json.loads(said))
    if crowd.seconds:
        print(
            f"{crowd.name:<28}{len(crowd.seconds):>6} answers {dict(sorted(crowd.statuses.items()))}"
            f"  p50 {crowd.took(0.5):.2f} s  p95 {crowd.took(0.95):.2f} s  max {crowd.took(1):.2f} s"
        )
    print(
        f"{'' if crowd.seconds else crowd.name:<28}/healthz {len(health)} times: p50 {1000 * health[len(health) // 2]:.0f} ms,"
        f" p99 {1000 * health[int(0.99 * (len(health) - 1))]:.0f} ms, max {1000 * health[-1]:.0f} ms;"
        f"  memory {most / 1024**2:.0f} MiB"
    )


def _burn() -> None:
    while True:
        sum(range(10_000))


@contextmanager
def busy(processors: int) -> Iterator[None]:
    """Something else has the processors meanwhile."""
    burning = [multiprocessing.Process(target=_burn, daemon=True) for _ in range(processors)]
    for each in burning:
        each.start()
    try:
        yield
    finally:
        for each in burning:
            each.kill()


def _unseen() -> None:
    with unit_of_work() as db:
        db.execute(update(SignIn).values(seen_at=datetime.now(UTC) - timedelta(minutes=10)))


def main() -> None:
    """Start, ask, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--at-once", type=int, default=500)
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--readers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--busy", type=int, default=0)
    wanted = parser.parse_args()
    print(machine.describe())
    with demo_house() as house, busy(wanted.busy):
        well = _ask_all(wanted, house)
    sys.exit(0 if well else 1)


def _ask_all(wanted: argparse.Namespace, house: House) -> bool:
    port, web, cookies = house.port, house.web, cookies_of(wanted.people)
    with unit_of_work() as db:
        paths = addresses(list(db.scalars(select(Image.id).order_by(Image.id))))
    asyncio.run(ask(port, paths[0], cookies[0]))
    print(f"load average {os.getloadavg()[0]:.1f}, {wanted.busy} processors kept busy besides\n")
    # What this machine, busy as it is, makes of a server that does nothing else.
    with watched(port, web, Crowd("nobody")):
        time.sleep(IDLE_SECONDS)
    well = True
    for name, who in (("one session", cookies[:1]), (f"{len(cookies)} people", cookies)):
        _unseen()
        crowd = Crowd(f"{wanted.at_once} at once, {name}")
        with watched(port, web, crowd):
            asyncio.run(at_once(crowd, port, wanted.at_once, who, paths))
        well = well and set(crowd.statuses) == {200}
    _unseen()
    crowd = Crowd(f"{wanted.readers} readers, {wanted.seconds:.0f} s")
    with watched(port, web, crowd):
        asyncio.run(readers(crowd, port, wanted.readers, cookies, paths, wanted.seconds))
    return well and set(crowd.statuses) == {200}


if __name__ == "__main__":
    main()

"""Many annotators at once: each claims an image, and for each proposal reads the image's labels and decides.

    python -m bench.crowd [--annotators 16] [--seconds 20] [--processes 1 2] [--images 20000]

Seeds an installation of its own for each number of web processes. Prints how many pairs of reading and saving were
answered in a second, their times, and what the processors did for one; exit code 1 where something was refused, or
where one image was given to two people.
"""

import argparse
import http.client
import json
import multiprocessing
import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from app.accounts.models import Person
from app.accounts.tokens import create_token
from app.database import unit_of_work
from app.projects.founding import get_project, set_role
from bench import machine
from bench.large_house import large_house
from bench.machine import processor_seconds_below
from bench.seeding import SLUG

BAR = 100.0
PATH = f"/api/v1/projects/{SLUG}"


@dataclass
class Seen:
    """What one annotator met."""

    reads: list[float] = field(default_factory=list)
    saves: list[float] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


class Annotator:
    """One person with one connection, who decides as fast as the server answers."""

    def __init__(self, port: int, token: str, until: float) -> None:
        self.seen = Seen()
        self._until = until
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def work(self) -> None:
        """Go from image to image until the time is over."""
        with closing(self._connection):
            at = 0
            while time.time() < self._until:
                at = self._ask("POST", "/queue/next", {"after": at})[0]["image"]
                self.seen.images.append(at)
                for _ in self._decide(at):
                    if time.time() >= self._until:
                        return

    def _decide(self, image: int) -> Iterator[None]:
        while True:
            found, read = self._ask("GET", f"/images/{image}/labels")
            waiting = [each for each in found["labels"] if each["state"] == "proposed"]
            if not waiting:
                return
            each = waiting[0]
            decided = {
                "state": "rejected" if len(waiting) % 4 == 0 else "confirmed",
                "based_on": each["revision"],
                "operation_id": str(uuid4()),
            }
            way = f"/images/{image}/labels/{each['key']}/{each['polarity']}"
            _, saved = self._ask("PUT", way, decided)
            self.seen.reads.append(read)
            self.seen.saves.append(saved)
            yield

    def _ask(self, method: str, path: str, body: Any = None) -> tuple[Any, float]:
        began = time.perf_counter()
        self._connection.request(
            method, PATH + path, None if body is None else json.dumps(body), self._headers
        )
        answer = self._connection.getresponse()
        text = answer.read()
        took = (time.perf_counter() - began) * 1000
        self.seen.statuses[answer.status] += 1
        if answer.status >= 400:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text), took


def crowd(port: int, tokens: list[str], seconds: float) -> list[Seen]:
    """All of them at once; run in a process of its own."""
    until = time.time() + seconds
    people = [Annotator(port, each, until) for each in tokens]
    threads = [threading.Thread(target=each.work) for each in people]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return [each.seen for each in people]


def annotators(number: int) -> list[str]:
    """People of the project, by their tokens."""
    with unit_of_work() as db:
        project = get_project(db, SLUG)
        tokens = []
        for each in range(number):
            person = Person(email=f"a{each}@large.example.org", name=f"Annotator {each}")
            db.add(person)
            db.flush()
            set_role(db, project, person, "annotator")
            tokens.append(create_token(db, person, "bench")[1])
        return tokens


def measure(processes: int, wanted: argparse.Namespace) -> bool:
    """One installation with so many web processes; whether all went well."""
    os.environ["MORELLI_WEB_PROCESSES"] = str(processes)
    with large_house(wanted.images, wanted.images * 25, compare=False) as house:
        tokens = annotators(wanted.annotators)
        port = int(house.address.rpartition(":")[2])
        with multiprocessing.get_context("spawn").Pool(1) as clients:
            clients.apply(crowd, (port, tokens[:2], 2.0))
            before, began = processor_seconds_below(os.getpid()), time.monotonic()
            seen = clients.apply(crowd, (port, tokens, wanted.seconds))
            took = time.monotonic() - began
            spent = processor_seconds_below(os.getpid()) - before
    return report(processes, seen, took, spent)


def report(processes: int, seen: list[Seen], took: float, spent: float) -> bool:
    """Print what came out; whether nothing was refused and no image given twice."""
    pairs = sum(len(each.saves) for each in seen)
    given = Counter(image for each in seen for image in each.images)
    twice = sum(number > 1 for number in given.values())
    statuses = sum((each.statuses for each in seen), Counter[int]())
    reads, saves = (
        sorted(took for each in seen for took in getattr(each, name)) for name in ("reads", "saves")
    )
    print(
        f"{processes} web process{'es' if processes > 1 else ''}: {pairs / took:.0f} pairs a second"
        f" (bar {BAR:.0f}), {len(given)} images, {twice} given to two people; statuses {dict(statuses)};\n"
        f"    read {_at(reads, 0.5):.0f} and {_at(reads, 0.95):.0f} ms, save {_at(saves, 0.5):.0f} and"
        f" {_at(saves, 0.95):.0f} ms (median, 95th percentile); {spent / max(pairs, 1) * 1000:.1f} ms of all"
        f" processors for a pair, clients included (load {os.getloadavg()[0]:.1f})",
        flush=True,
    )
    return not twice and all(status < 400 for status in statuses)


def _at(took: list[float], share: float) -> float:
    return took[int(share * (len(took) - 1))] if took else 0.0


def main() -> None:
    """Measure with each number of web processes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--annotators", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--images", type=int, default=20_000)
    wanted = parser.parse_args()
    print(machine.describe())
    went_well = [measure(each, wanted) for each in wanted.processes]
    if not all(went_well):
        raise SystemExit(1)


if __name__ == "__main__":
    main()

"""Programs that change labels over HTTP and keep a log of what they did, and what kills the house meanwhile."""

import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from app.labels.models import LabelEvent
from tests.chaos.processes import Program, family_of, wait_until

SIDES = ("positive", "negative")
# A client that hangs up on some answers does by itself what a crash does now and then.
HANGS_UP = 0.15
WAIT_SECONDS = 60.0
# What a client may ask again after: the server is not there, or says that it could not.
UNAVAILABLE = (500, 502, 503, 504)


@dataclass
class Client:
    """Someone's program: sends until it is answered, the same request every time."""

    port: int
    token: str
    rng: random.Random
    over: threading.Event
    acknowledged: int = 0
    retries: int = 0
    root: str = "/api/v1/projects/paintings"

    def work(self) -> None:
        """Go on until it is over."""
        raise NotImplementedError

    def ask(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The first answer that is one. Fails after a minute without."""
        ends = time.monotonic() + WAIT_SECONDS
        while time.monotonic() < ends:
            with suppress(OSError, http.client.HTTPException, json.JSONDecodeError):
                answer = self._send(method, path, body)
                if answer is not None and answer[0] not in UNAVAILABLE:
                    self.acknowledged += 1
                    return answer
            self.retries += 1
            time.sleep(0.05)
        raise AssertionError(f"{method} {path} was not answered within {WAIT_SECONDS:.0f} s")

    def _send(
        self, method: str, path: str, body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]] | None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method,
                self.root + path,
                json.dumps(body),
                {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
            )
            if self.rng.random() < HANGS_UP:
                time.sleep(self.rng.random() * 0.02)
                return None
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()


@dataclass
class Annotator(Client):
    """Changes labels of its own attributes on images that others work on too."""

    images: list[int] = field(default_factory=list)
    key: str = ""
    states: dict[tuple[int, str], str | None] = field(default_factory=dict)
    seen: dict[tuple[int, str], int] = field(default_factory=dict)
    operations: dict[UUID, tuple[int, str, str | None, int]] = field(default_factory=dict)

    def work(self) -> None:
        while not self.over.is_set():
            self.save()

    def save(self) -> None:
        place = (self.rng.choice(self.images), self.rng.choice(SIDES))
        before = self.states.get(place)
        wanted = "confirmed"
        if before == "confirmed":
            wanted = self.rng.choice(("rejected", "withdrawn"))
        after = None if wanted == "withdrawn" else wanted
        operation = UUID(int=self.rng.getrandbits(128), version=4)
        status, said = self.ask(
            "PUT",
            f"/images/{place[0]}/labels/{self.key}/{place[1]}",
            {
                "state": wanted,
                "based_on": self.seen.get(place, 0),
                "operation_id": str(operation),
            },
        )
        assert status == 200, said
        # Nobody else touches this attribute: it stands as its last acknowledged edit left it.
        assert (said["before"], said["state"]) == (before, after), said
        self.states[place], self.seen[place] = after, said["revision"]
        self.operations[operation] = (*place, after, said["event_id"])


class Worker(Protocol):
    """Somebody who acts until it is over."""

    acknowledged: int

    def work(self) -> None: ...


class Crowd(Protocol):
    """Those who work at once, and what tells them that it is over."""

    over: threading.Event

    def everyone(self) -> Sequence[Worker]: ...


def acknowledged(people: Crowd) -> list[int]:
    """How many actions of each were acknowledged."""
    return [each.acknowledged for each in people.everyone()]


def go_on(people: Crowd, *, more: int, seconds: float) -> bool:
    """Wait until each has got `more` actions through; false where it is over, because somebody was told something
    wrong, which says more than another kill.
    """
    known = acknowledged(people)

    def all_went_on() -> bool:
        return all(new >= old + more for new, old in zip(acknowledged(people), known, strict=True))

    wait_until(lambda: all_went_on() or people.over.is_set(), "everyone gets through", seconds)
    return not people.over.is_set()


def wreak_havoc(program: Program, people: Crowd, rng: random.Random) -> None:
    """Kill at random moments; everyone gets through between two kills."""
    kills = ["web", "postgres", "postgres", "both"]
    rng.shuffle(kills)
    for what in kills:
        if not go_on(people, more=3, seconds=60) or people.over.wait(rng.random()):
            return
        kill_something(program, what, rng)


def live_in_chaos(
    program: Program,
    people: Crowd,
    rng: random.Random,
    havoc: Callable[[Program, Crowd, random.Random], None] = wreak_havoc,
) -> None:
    """Let everyone work while things are killed. Fails where someone was told something wrong."""
    with ThreadPoolExecutor(len(people.everyone())) as pool:

        def stop_all(done: Future[None]) -> None:
            if done.exception() is not None:
                people.over.set()

        futures = [pool.submit(each.work) for each in people.everyone()]
        for each in futures:
            each.add_done_callback(stop_all)
        try:
            havoc(program, people, rng)
        finally:
            people.over.set()
        for each in futures:
            each.result()
    assert program.is_running(), program.said()


def kill_something(program: Program, what: str, rng: random.Random) -> None:
    """Kill -9 the web server, PostgreSQL (its head, or all of it at once), or both."""
    if what in ("web", "both"):
        os.kill(program.child("app.serving"), signal.SIGKILL)
    if what in ("postgres", "both"):
        head = program.child("postgres")
        backends = {each.pid for each in family_of(head)} - {head}
        os.kill(head, signal.SIGKILL)
        for pid in sorted(backends) if rng.random() < 0.5 else ():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def replayed(events: list[LabelEvent]) -> dict[tuple[int, int | None, str | None], tuple[str, int]]:
    """State and revision of each label, from the events alone."""
    standing: dict[tuple[int, int | None, str | None], tuple[str, int]] = {}
    for event in events:
        place = (event.image_id, event.node_id, event.polarity)
        assert standing.get(place, (None,))[0] == event.before
        standing.pop(place, None)
        if event.after is not None:
            standing[place] = (event.after, event.image_revision)
    return standing

"""Edits over HTTP while the web server and PostgreSQL are killed: what was acknowledged is kept."""

import http.client
import json
import os
import random
import signal
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app import database
from app.accounts.tokens import create_token
from app.criteria.models import Node, NodeChange
from app.database import unit_of_work
from app.images.models import Image
from app.labels.models import Label, LabelEvent
from tests.chaos.processes import House, Program, family_of, wait_until
from tests.factories import Make

SIDES = ("positive", "negative")
NUM_ANNOTATORS = 3
NUM_IMAGES = 4
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
                f"/api/v1/projects/paintings{path}",
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


@dataclass
class Expert(Client):
    """Renames one dimension again and again. A rename that was done already is answered with 412
    and one's own name.
    """

    key: str = ""
    revision: int = 1
    names: list[str] = field(default_factory=list)

    def work(self) -> None:
        while not self.over.is_set():
            self.rename(f"Light {len(self.names) + 1}")
            time.sleep(0.05)

    def rename(self, name: str) -> None:
        status, said = self.ask(
            "PATCH", f"/criteria/nodes/{self.key}", {"based_on": self.revision, "name": name}
        )
        assert status == 200 or (status == 412 and said["theirs"] == {"name": name}), said
        self.names.append(name)
        assert said["revision"] == self.revision + 1
        self.revision = said["revision"]


@dataclass
class People:
    """Everyone who edits, each in a thread."""

    annotators: list[Annotator]
    expert: Expert
    over: threading.Event

    def everyone(self) -> list[Annotator | Expert]:
        return [*self.annotators, self.expert]

    def acknowledged(self) -> list[int]:
        return [each.acknowledged for each in self.everyone()]


def invite(house: House, seed: int) -> People:
    """A project with a small tree, a published version, images, three annotators and an expert."""
    over = threading.Event()
    with Session(database.engine(), expire_on_commit=False) as db:
        make = Make(db)
        project = make.project("paintings")
        light = make.dimension(project, "Light", key="light")
        keys = [f"pair-of-{number}" for number in range(NUM_ANNOTATORS)]
        for key in keys:
            make.pair(project, light, key=key)
        make.version(project)
        images = [make.image(project).id for _ in range(NUM_IMAGES)]

        def client(number: int, role: str) -> dict[str, Any]:
            _, token = create_token(db, make.member(project, role), "chaos")
            rng = random.Random(f"{seed} {number}")
            return {"port": house.port, "token": token, "rng": rng, "over": over}

        annotators = [
            Annotator(**client(number, "annotator"), images=images, key=key)
            for number, key in enumerate(keys)
        ]
        expert = Expert(**client(NUM_ANNOTATORS, "expert"), key="light")
        db.commit()
    return People(annotators, expert, over)


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


def wreak_havoc(program: Program, people: People, rng: random.Random) -> None:
    """Kill at random moments; everyone gets through between two kills."""
    kills = ["web", "postgres", "postgres", "both"]
    rng.shuffle(kills)
    for what in kills:
        known = people.acknowledged()

        def all_went_on(known: list[int] = known) -> bool:
            now = people.acknowledged()
            return all(new >= old + 3 for new, old in zip(now, known, strict=True))

        wait_until(lambda: all_went_on() or people.over.is_set(), "everyone gets through", 60)
        if people.over.wait(rng.random()):
            return  # someone was told something wrong, which says more than another kill
        kill_something(program, what, rng)


def edit_in_chaos(house: House, program: Program, people: People, rng: random.Random) -> None:
    with ThreadPoolExecutor(len(people.everyone())) as pool:

        def stop_all(done: Future[None]) -> None:
            if done.exception() is not None:
                people.over.set()

        futures = [pool.submit(each.work) for each in people.everyone()]
        for each in futures:
            each.add_done_callback(stop_all)
        try:
            wreak_havoc(program, people, rng)
        finally:
            people.over.set()
        for each in futures:
            each.result()
    assert program.is_running(), program.said()


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


def check_labels(people: People) -> None:
    """Every acknowledged action is there once, nothing else is, and the labels follow from them."""
    told: dict[UUID, tuple[int, str, str | None, int]] = {}
    for each in people.annotators:
        assert not told.keys() & each.operations.keys()
        told |= each.operations
    with unit_of_work() as db:
        events = list(db.scalars(select(LabelEvent).order_by(LabelEvent.id)))
        labels = list(db.scalars(select(Label)))
        keys = dict(db.execute(select(Node.id, Node.key)).all())
        revisions = dict(db.execute(select(Image.id, Image.label_revision)).all())
    assert len(events) == len(told)
    for event in events:
        assert event.operation_id is not None
        assert told[event.operation_id] == (event.image_id, event.polarity, event.after, event.id)
    standing = {
        (each.image_id, each.node_id, each.polarity): (each.state, each.revision) for each in labels
    }
    assert replayed(events) == standing
    seen = {
        (image, each.key, side): state
        for each in people.annotators
        for (image, side), state in each.states.items()
        if state is not None
    }
    assert {(i, keys[n], side): state for (i, n, side), (state, _) in standing.items()} == seen
    for image, revision in revisions.items():
        made = [each.image_revision for each in events if each.image_id == image]
        assert made == list(range(1, revision + 1))


def check_names(expert: Expert) -> None:
    """Every acknowledged rename is recorded once, in order, and the last one stands."""
    with unit_of_work() as db:
        node = db.scalars(select(Node).where(Node.key == expert.key)).one()
        changes = db.scalars(
            select(NodeChange).where(NodeChange.node_id == node.id).order_by(NodeChange.revision)
        ).all()
        assert [each.after["name"] for each in changes if each.after] == expert.names
        assert (node.name, node.revision) == (expert.names[-1], expert.revision)


def test_no_acknowledged_edit_is_lost(house: House) -> None:
    seed = int(os.environ.get("MORELLI_TEST_SEED", random.SystemRandom().randrange(10**6)))
    print(f"MORELLI_TEST_SEED={seed}")
    program = house.up("--no-worker", "--no-seed")
    with house.entered():
        people = invite(house, seed)
        edit_in_chaos(house, program, people, random.Random(seed))
        print("acknowledged", people.acknowledged())
        print("sent again", [each.retries for each in people.everyone()])
        check_labels(people)
        check_names(people.expert)

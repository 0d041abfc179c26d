"""Edits over HTTP while the web server and PostgreSQL are killed: what was acknowledged is kept."""

import os
import random
import threading
import time
from collections.abc import Sequence
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
from tests.chaos.clients import Annotator, Client, acknowledged, live_in_chaos, replayed
from tests.chaos.processes import House
from tests.factories import Make

NUM_ANNOTATORS = 3
NUM_IMAGES = 4


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

    def everyone(self) -> Sequence[Client]:
        return [*self.annotators, self.expert]


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
        live_in_chaos(program, people, random.Random(seed))
        print("acknowledged", acknowledged(people))
        print("sent again", [each.retries for each in people.everyone()])
        check_labels(people)
        check_names(people.expert)

"""Labels put right by eight clients while the web server, PostgreSQL and tabs of browsers are killed.

Six are programs, two are people at a keyboard. `MORELLI_TEST_ACTIONS=5000` has them do that many actions
(some 3 minutes on an idle machine of 2 cores); else a few hundred.
"""

import os
import random
import threading
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import database
from app.accounts.access import cookie_name
from app.accounts.signing_in import sign_in
from app.accounts.tokens import create_token
from app.criteria.models import Node
from app.database import unit_of_work
from app.labels.models import Label, LabelEvent
from app.labels.proposing import Proposed, propose
from tests.chaos.clients import Annotator, Crowd, acknowledged, go_on, kill_something, live_in_chaos
from tests.chaos.hands import Hands
from tests.chaos.processes import House, Program
from tests.factories import Make

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(1800)]

NUM_PROGRAMS = 6
NUM_HANDS = 2
NUM_IMAGES = 3
NUM_PAIRS = 5
NUM_ACTIONS = int(os.environ.get("MORELLI_TEST_ACTIONS", "300"))


@dataclass
class People:
    """Everyone who labels, each in a thread."""

    programs: list[Annotator]
    hands: list[Hands]
    over: threading.Event

    def everyone(self) -> list[Annotator | Hands]:
        return [*self.programs, *self.hands]


def invite(house: House, seed: int) -> People:
    """Each program has an attribute of its own on images of all, each person an image with agent labels."""
    over = threading.Event()
    with Session(database.engine(), expire_on_commit=False) as db:
        make = Make(db)
        project = make.project("paintings")
        light = make.dimension(project, "Light", key="light")
        keys = [f"pair-of-{number}" for number in range(max(NUM_PROGRAMS, NUM_PAIRS))]
        pairs = [make.pair(project, light, key=key) for key in keys]
        version = make.version(project)
        images = [make.image(project).id for _ in range(NUM_IMAGES)]
        run = make.agent_run(project, version)

        def program(number: int) -> Annotator:
            _, token = create_token(db, make.member(project, "annotator"), "chaos")
            rng = random.Random(f"{seed} {number}")
            return Annotator(house.port, token, rng, over, images=images, key=keys[number])

        def hands(number: int) -> Hands:
            image_id = make.image(project).id
            found = [Proposed(image_id, pair.id, "positive") for pair in pairs[:NUM_PAIRS]]
            propose(db, project, agent_run_id=run.id, version_id=version.id, findings=found)
            person = make.member(project, "annotator")
            token = sign_in(db, person, browser="chaos", address="127.0.0.1")
            return Hands(
                f"http://127.0.0.1:{house.port}",
                (cookie_name(), token),
                image_id,
                random.Random(f"{seed} hands {number}"),
                over,
                kills_every=max(25, NUM_ACTIONS // 100),
            )

        programs = [program(number) for number in range(NUM_PROGRAMS)]
        people = People(programs, [hands(number) for number in range(NUM_HANDS)], over)
        db.commit()
    return people


def kill_until_all_is_done(program: Program, people: Crowd, rng: random.Random) -> None:
    """Kill at random moments until so many actions are done; everyone gets through between two kills."""
    while sum(acknowledged(people)) < NUM_ACTIONS:
        if not go_on(people, more=NUM_ACTIONS // 100, seconds=300) or people.over.wait(
            rng.random()
        ):
            return
        kill_something(program, rng.choice(["web", "postgres", "both"]), rng)


def check_programs(people: People) -> None:
    """What each program was told is there once, under its number, and nothing else of theirs is."""
    told: dict[Any, tuple[int, str, str | None, int]] = {}
    for each in people.programs:
        told |= each.operations
    images = {each for program in people.programs for each in program.images}
    with unit_of_work() as db:
        events = list(db.scalars(select(LabelEvent).where(LabelEvent.image_id.in_(images))))
    found = {
        each.operation_id: (each.image_id, each.polarity, each.after, each.id) for each in events
    }
    assert len(events) == len(found)
    assert found == told


def check_hands(people: People) -> None:
    """Each label was set to what its person saw, in that order, each time once."""
    for each in people.hands:
        made: dict[str, list[str]] = defaultdict(list)
        with unit_of_work() as db:
            keys = dict(db.execute(select(Node.id, Node.key)).all())
            for event in db.scalars(
                select(LabelEvent)
                .where(LabelEvent.image_id == each.image_id, LabelEvent.person_id.is_not(None))
                .order_by(LabelEvent.id)
            ):
                assert event.node_id is not None
                made[f"label-{keys[event.node_id]}-{event.polarity}"].append(str(event.after))
            standing = {
                f"label-{keys[label.node_id]}-{label.polarity}": label.state
                for label in db.scalars(select(Label).where(Label.image_id == each.image_id))
            }
        assert made == each.log
        assert {row: states[-1] for row, states in each.log.items()}.items() <= standing.items()


def test_no_action_is_lost_or_done_twice(house: House) -> None:
    seed = int(os.environ.get("MORELLI_TEST_SEED", random.SystemRandom().randrange(10**6)))
    print(f"MORELLI_TEST_SEED={seed}")
    program = house.up("--no-worker", "--no-seed")
    with house.entered():
        people = invite(house, seed)
        live_in_chaos(program, people, random.Random(seed), kill_until_all_is_done)
        print("acknowledged", acknowledged(people))
        print("sent again", [each.retries for each in people.programs])
        print("tabs killed", [each.killed for each in people.hands])
        check_programs(people)
        check_hands(people)

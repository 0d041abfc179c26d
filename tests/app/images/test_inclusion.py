"""What is set aside counts nowhere, in every room; what comes back counts as before."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session
from starlette.testclient import TestClient

from app.accounts.models import Person
from app.agents import launching, recording
from app.agents.models import AgentRunImage
from app.audits import sampling
from app.criteria.reading import version_criteria
from app.datasets import freezing, selecting
from app.errors import Invalid
from app.images import finding
from app.images.models import Image
from app.images.removing import set_aside, take_back
from app.labels import reading
from app.labels.models import Label, LabelEvent
from app.labels.proposing import Proposed, propose
from app.overview import counting
from app.queue.models import WaitingImage
from app.versions.counting import count_labels
from tests.factories import Make
from tests.people import Cast, cast


@pytest.fixture
def people(make: Make) -> Cast:
    return cast(make)


class Rooms:
    """A project whose every room has something of each of two images."""

    def __init__(self, db: Session, make: Make, people: Cast) -> None:
        self.db, self.project = db, people.project
        parent = make.dimension(self.project)
        self.pair = make.pair(self.project, parent)
        self.version = make.version(self.project)
        self.run = make.agent_run(self.project, self.version)
        self.begun = make.agent_run(self.project, self.version)
        self.images: list[Image] = [make.image(self.project) for _ in range(2)]
        for image in self.images:
            named = {"image_id": image.id, "node_id": self.pair.id, "version_id": self.version.id}
            agent = {"agent_run_id": self.run.id}
            for polarity, state in (("positive", "confirmed"), ("negative", "proposed")):
                db.add(
                    Label(
                        project_id=self.project.id, polarity=polarity, state=state, source="agent",
                        revision=1, **named, **agent,
                    )
                )  # fmt: skip
                db.add(
                    LabelEvent(
                        polarity=polarity, kind="propose", after="proposed", image_revision=1,
                        **named, **agent,
                    )
                )  # fmt: skip
            db.add(
                AgentRunImage(
                    image_id=image.id, version_id=self.version.id, state="labelled", proposed=2, **agent
                )
            )  # fmt: skip
        db.commit()

    def seen(self) -> dict[str, Any]:
        """How many of the two images each room sees."""
        db, project, first = self.db, self.project, self.images[0]
        db.expire_all()
        counts = counting.count(db, project)
        criteria = version_criteria(self.version)
        outcome = launching.find_outcome(db, self.run)
        by_node = count_labels(db, project.id, [self.pair.id]).get(self.pair.id)
        return {
            "wall": finding.count_images(db, project).number,
            "search": finding.count_images(db, project, text="painting").number,
            "proposed": finding.count_images(db, project, show="proposed").number,
            "newest": len(counting.newest_images(db, project)),
            "overview": counts.images,
            "overview's labels": counts.labels_confirmed,
            "labels": reading.count_by_state(db, project)["confirmed"],
            "tree": by_node.confirmed if by_node else 0,
            "agent": recording.count_waiting_images(db, self.begun),
            "agent's outcome": sum(each[3] for each in outcome if each[2] == "confirmed"),
            "dataset": len(list(selecting.read_examples(db, project, criteria))),
            "audit": sampling.population(db, project, min_labels=1, agent_run=None).images,
            "audit of the run": sampling.population(
                db, project, min_labels=1, agent_run=self.run.id
            ).images,
            "queue": db.query(WaitingImage).count(),
            "beside": 2 if reading.find_neighbours(db, project, first.id)[1] else 1,
            "neighbours": 2 if finding.neighbours(db, project, first.id)[1] else 1,
        }


def test_set_aside_in_every_room(db: Session, make: Make, people: Cast) -> None:
    rooms = Rooms(db, make, people)
    assert set(rooms.seen().values()) == {2}, rooms.seen()
    set_aside(db, rooms.project, rooms.images[1].id, reason="a scan", by=people.ben)
    db.commit()
    assert set(rooms.seen().values()) == {1}, rooms.seen()
    take_back(db, rooms.project, rooms.images[1].id, by=people.ben)
    db.commit()
    assert set(rooms.seen().values()) == {2}


def test_nothing_left_is_nothing_there(db: Session, make: Make, people: Cast) -> None:
    rooms = Rooms(db, make, people)
    for image in rooms.images:
        set_aside(db, rooms.project, image.id, reason="x", by=people.ben)
    with pytest.raises(Invalid, match="no images"):
        launching.launch_agent_run(db, rooms.project, agent="measured", by=people.lea)
    with pytest.raises(Invalid, match="No label is confirmed"):
        freezing.freeze_dataset(db, rooms.project, name="x", by=people.lea)


def test_an_agent_that_looked_meanwhile_goes_on_with_the_others(
    db: Session, make: Make, people: Cast
) -> None:
    rooms = Rooms(db, make, people)
    set_aside(db, rooms.project, rooms.images[1].id, reason="x", by=people.ben)
    later = make.agent_run(rooms.project, rooms.version)
    found = [
        Proposed(image.id, rooms.pair.id, "negative", "m", 1.0, 0.5, 0.9) for image in rooms.images
    ]
    stored = propose(
        db, rooms.project, agent_run_id=later.id, version_id=rooms.version.id, findings=found
    )
    assert stored == 1


def test_the_next_image_is_one_in_use(
    browser: TestClient, db: Session, make: Make, people: Cast,
    sign_in: Callable[[TestClient, Person], TestClient],
) -> None:  # fmt: skip
    rooms = Rooms(db, make, people)
    set_aside(db, rooms.project, rooms.images[0].id, reason="x", by=people.ben)
    db.commit()
    page = sign_in(browser, people.ben).get("/projects/paintings/next-image")
    assert page.headers["location"].endswith(f"/{rooms.images[1].id}")

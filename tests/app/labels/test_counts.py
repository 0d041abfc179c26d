"""The counts that are kept are those that a recount finds, whatever was done in whatever order."""

import random
import threading
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import delete, func, select, text
from sqlalchemy.orm import Session

from app import database
from app.agents.launching import find_outcome
from app.criteria.models import Criteria, Node
from app.errors import AppError
from app.images.counting import ImageCounts, count_kinds
from app.images.models import Image
from app.images.removing import erase_image, set_aside, take_back
from app.labels.dropping import drop_labels
from app.labels.models import ImageContradiction, ImageTally, Label, LabelCount
from app.labels.proposing import Proposed, propose
from app.labels.reading import count_by_state, find_contradictions_of
from app.labels.recounting import find_drift, recount
from app.labels.saving import save, set_done
from app.labels.stating import state_trait
from app.versions.counting import count_labels
from tests.app.labels.conftest import Bench

CONTENTS = {"figures": {"name": "Figures"}, "hands": {"name": "Hands"}}

KEPT = select(ImageContradiction.image_id, ImageContradiction.number)


def drift(db: Session) -> dict[str, int]:
    return {each.counts: each.groups for each in find_drift(db) if each.groups}


class Life:
    """A project where anything may happen to images, labels, what is seen in them, what pairs need and what
    cannot hold together.
    """

    def __init__(self, bench: Bench, seed: int) -> None:
        self.bench, self.chance = bench, random.Random(seed)
        criteria = bench.db.get_one(Criteria, bench.project.id)
        criteria.details = {"content": CONTENTS}
        self.images = [bench.image.id, *(bench.make.image(bench.project).id for _ in range(4))]
        self._need()

    def _need(self) -> None:
        """Publish other needs: none, one or both of two contents for every pair; and other rules."""
        self._rule()
        for node in self.bench.nodes.values():
            if node.kind == "pair":
                needs = [each for each in CONTENTS if self.chance.random() < 0.4]
                node.details = {"needs": needs} if needs else {}
                if self.chance.random() < 0.4:
                    node.details = node.details | {"positive": {"excludes": ["circle/negative"]}}
        self.bench.db.commit()
        try:
            self.bench.version = self.bench.make.version(self.bench.project)
        except AppError:  # the same needs as before
            self.bench.db.rollback()

    def _rule(self) -> None:
        for node in self.bench.nodes.values():
            node.relation = self.chance.choice(("opposed", "flaw", "graded"))
            node.retired = self.chance.random() < 0.2
        tone = self.bench.db.scalars(select(Node).where(Node.key == "tone")).one()
        tone.exclusive = self.chance.random() < 0.6

    def contradictions(self) -> dict[int, int]:
        """How many the labelling page marks on each image."""
        bench = self.bench
        bench.db.expire_all()
        return {
            image.id: len(find_contradictions_of(bench.db, bench.project, image))
            for image in bench.db.scalars(select(Image).where(Image.state != "erased"))
        }

    def act(self) -> None:
        """Do one thing; what is refused changes nothing."""
        bench, chance = self.bench, self.chance
        image_id = chance.choice(self.images)
        acts: dict[str, Any] = {
            "propose": self._propose,
            "decide": self._decide,
            "done": lambda: set_done(
                bench.db,
                bench.project,
                image_id,
                done=chance.random() < 0.6,
                by=bench.people.ben,
                operation_id=uuid4(),
            ),
            "aside": lambda: set_aside(
                bench.db, bench.project, image_id, reason="a scan", by=bench.people.ben
            ),
            "back": lambda: take_back(bench.db, bench.project, image_id, by=bench.people.ben),
            "see": lambda: state_trait(
                bench.db,
                bench.project,
                image_id,
                kind="content",
                value=chance.choice(list(CONTENTS)),
                present=chance.choice((True, False, False, None)),
                seen=chance.choice((True, False, None)),
                by=bench.people.ben,
            ),
            "need": self._need,
            "import": lambda: self.images.append(bench.make.image(bench.project).id),
        }
        weights = {"propose": 6, "decide": 8, "see": 8, "done": 3, "aside": 2, "back": 2}
        name = chance.choices(list(acts), [weights.get(each, 1) for each in acts])[0]
        try:
            acts[name]()
            bench.db.commit()
        except AppError:
            bench.db.rollback()

    def _pairs(self) -> list[str]:
        return [key for key, node in self.bench.nodes.items() if node.kind == "pair"]

    def _propose(self) -> None:
        wanted = [
            (image_id, self.bench.nodes[key].id, side)
            for image_id in self.images
            for key in self._pairs()
            for side in ("positive", "negative")
            if self.chance.random() < 0.3
        ]
        run = self.bench.make.agent_run(self.bench.project, self.bench.version)
        propose(
            self.bench.db,
            self.bench.project,
            agent_run_id=run.id,
            version_id=self.bench.version.id,
            findings=[Proposed(*each) for each in wanted],  # type: ignore[arg-type]
        )

    def _decide(self) -> None:
        image = self.bench.db.get_one(Image, self.chance.choice(self.images))
        self.bench.db.refresh(image)
        save(
            self.bench.db,
            self.bench.project,
            image.id,
            key=self.chance.choice(self._pairs()),
            polarity=self.chance.choice(("positive", "negative")),
            state=self.chance.choice(("confirmed", "rejected", "withdrawn")),
            based_on=image.label_revision,
            by=self.bench.people.ben,
            operation_id=uuid4(),
        )


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_a_recount(bench: Bench, seed: int) -> None:
    life = Life(bench, seed)
    found = 0
    for number in range(1, 61):
        life.act()
        if number % 12 == 0:
            kept = {row.image_id: row.number for row in bench.db.execute(KEPT)}
            assert kept == life.contradictions()
            found += sum(kept.values())
    assert drift(bench.db) == {}
    assert found, "a life without contradictions tests nothing"
    erase_image(bench.db, bench.project, life.images[0], reason="asked for", by=bench.people.ben)
    drop_labels(bench.db, bench.db.get_one(Image, life.images[0]))
    bench.db.commit()
    assert drift(bench.db) == {}
    assert bench.db.scalar(select(func.count(Label.id))), "a life without labels tests nothing"


def test_what_rooms_tell_is_what_is_kept(bench: Bench) -> None:
    bench.propose(("circle", "positive"), ("dark", "negative"))
    bench.save("circle", "confirmed")
    other = bench.make.image(bench.project)
    node = bench.nodes["circle"].id
    assert count_by_state(bench.db, bench.project) == {
        "proposed": 1, "confirmed": 1, "rejected": 0, "unsure": 0
    }  # fmt: skip
    assert count_labels(bench.db, bench.project.id, [node])[node].confirmed == 1
    assert sorted(each[1:] for each in find_outcome(bench.db, bench.run)) == [
        ("negative", "proposed", 1),
        ("positive", "confirmed", 1),
    ]
    set_done(bench.db, bench.project, other.id, done=True, by=bench.people.ben)
    bench.db.commit()
    assert count_kinds(bench.db, bench.project) == ImageCounts(
        used=2, done=1, undone=1, new=0, asked=1, aside=0
    )


def test_many_rows_are_folded_and_tell_the_same(bench: Bench) -> None:
    bench.propose(("circle", "positive"))
    for _ in range(600):
        for state in ("confirmed", "rejected"):
            bench.db.execute(text("UPDATE label SET state = :state"), {"state": state})
    bench.db.commit()
    assert (bench.db.scalar(select(func.count(LabelCount.id))) or 0) < 1_500  # of 2,400 appended
    assert drift(bench.db) == {}


def test_writers_at_once_wait_for_nobody_and_lose_nothing(bench: Bench) -> None:
    """Each in the middle of its transaction, on the same attribute of different images."""
    images = [bench.make.image(bench.project).id for _ in range(6)]
    both = threading.Barrier(len(images))

    def work(image_id: int) -> None:
        with Session(database.engine()) as db:
            db.add(
                Label(
                    project_id=bench.project.id, image_id=image_id, polarity="positive", state="confirmed",
                    node_id=bench.nodes["circle"].id, source="person", version_id=bench.version.id, revision=1,
                )
            )  # fmt: skip
            db.flush()
            # Nobody commits before everybody has counted: a shared row would hold them up here.
            both.wait(timeout=30)
            db.commit()

    writers = [threading.Thread(target=work, args=(each,)) for each in images]
    for each in writers:
        each.start()
    for each in writers:
        each.join()
    assert count_by_state(bench.db, bench.project)["confirmed"] == len(images)


def test_drift_is_seen_and_put_right(bench: Bench) -> None:
    bench.propose(("circle", "positive"), ("dark", "negative"))
    bench.db.execute(delete(LabelCount))
    bench.db.execute(text("UPDATE image_tally SET of_agents = of_agents + 3"))
    bench.db.execute(text("UPDATE image_count SET done = 7"))
    bench.db.execute(text("UPDATE image_contradiction SET number = 5"))
    bench.db.commit()
    bench.db.execute(text("UPDATE agent_run_count SET num = num + 1"))
    assert set(drift(bench.db)) == {
        "labels",
        "agent runs' labels",
        "images' labels",
        "images' contradictions",
        "images",
    }
    recount(bench.db)
    bench.db.commit()
    assert drift(bench.db) == {}
    assert bench.db.scalar(select(ImageTally.of_agents)) == 2

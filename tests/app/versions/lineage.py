"""A published project where people label images, to merge, split and take back in."""

from typing import Any
from uuid import uuid4

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.criteria.editing import add_pair
from app.criteria.merging import NewPair, merge
from app.criteria.models import CriteriaVersion, Node
from app.criteria.reading import (
    find_versions,
    version_criteria,
)
from app.images.models import Image
from app.labels.models import Label, LabelEvent
from app.labels.saving import save
from app.labels.unfolding import happened_to
from app.versions.publishing import publish
from taxonomy.tree import Attribute
from tests.app.labels.test_replay import replayed
from tests.factories import Make
from tests.people import Cast

LIGHT = NewPair(
    "opposed", Attribute("Good light", "It is good."), Attribute("Bad light", "Not so.")
)
OTHER = NewPair("flaw", Attribute("Other light", "Other."), Attribute("Odd light", "Odd."))
A, B = "glow", "clear-edges"


class House:
    """A published project where people label images by name of the image."""

    def __init__(self, db: Session, make: Make, people: Cast) -> None:
        self.db, self.make, self.people, self.project = db, make, people, people.project
        self.images: dict[str, Image] = {}
        # So that a dimension whose other pair is merged away still holds one.
        add_pair(
            db,
            self.project,
            parent="edges",
            relation="opposed",
            positive=Attribute("Lost edges", "Forms open."),
            negative=Attribute("Cut edges", "Forms are cut out."),
            by=people.ada,
        )
        self.publish()

    def publish(self, **values: Any) -> CriteriaVersion:
        version = publish(self.db, self.project, by=self.people.ada, **values)
        self.db.commit()
        return version

    def image(self, name: str) -> Image:
        if name not in self.images:
            self.images[name] = self.make.image(self.project)
        return self.images[name]

    def says(self, name: str, key: str, state: str, polarity: str = "positive") -> None:
        image = self.image(name)
        named = key if polarity == "positive" else f"{key} −"
        if state == "rejected" and named not in self.labels(name):
            self.says(name, key, "confirmed", polarity)
        save(
            self.db,
            self.project,
            image.id,
            key=key,
            polarity=polarity,
            state=state,  # type: ignore[arg-type]
            based_on=image.label_revision,
            operation_id=uuid4(),
            by=self.people.ben,
        )
        self.db.commit()

    def proposes(self, name: str, key: str) -> None:
        node = self.node(key)
        image = self.image(name)
        version = find_versions(self.db, self.project)[0][0]
        run = self.make.agent_run(self.project, version)
        self.db.add(
            Label(
                project_id=self.project.id,
                image_id=image.id,
                node_id=node.id,
                polarity="positive",
                state="proposed",
                source="agent",
                agent_run_id=run.id,
                version_id=version.id,
                measure="edge sharpness",
                value=0.1 + 0.2,
                revision=image.label_revision + 1,
            )
        )
        self.db.add(
            LabelEvent(
                image_id=image.id,
                node_id=node.id,
                polarity="positive",
                kind="propose",
                after="proposed",
                image_revision=image.label_revision + 1,
                agent_run_id=run.id,
                version_id=version.id,
            )
        )
        image.label_revision += 1
        self.db.commit()

    def node(self, key: str) -> Node:
        return self.db.scalars(select(Node).where(Node.key == key)).one()

    def done(self, name: str) -> None:
        image = self.image(name)
        image.done_at, image.done_by = image.created_at, self.people.ben.id
        self.db.commit()

    def labels(self, name: str) -> dict[str, str]:
        rows = self.db.execute(
            select(Node.key, Label.polarity, Label.state)
            .join(Node)
            .where(Label.image_id == self.images[name].id)
        )
        return {
            key if polarity == "positive" else f"{key} −": state for key, polarity, state in rows
        }

    def whole(self) -> list[tuple[Any, ...]]:
        """Every label with all it says, but for what a publication has to change about it."""
        own = [each for each in Label.__table__.columns if each.name not in ("id", "revision")]
        return sorted(map(tuple, self.db.execute(select(*own))), key=str)

    def check(self) -> None:
        """The events rebuild the labels, and every label names a pair of the version in force."""
        self.db.expire_all()
        version = find_versions(self.db, self.project)[0][0]
        tree = version_criteria(version)
        for image in self.images.values():
            labels = self.db.execute(
                select(Label, Node.key).join(Node).where(Label.image_id == image.id)
            ).all()
            assert all(tree.find(key) for _, key in labels)
            assert replayed(happened_to(self.db, image)) == {
                (each.node_id, each.polarity): (each.state, each.revision) for each, _ in labels
            }


def seen(house: House, *keys: str) -> dict[str, int]:
    return {key: house.node(key).revision for key in keys}


def merge_both(house: House, into: Any = LIGHT) -> Node:
    return merge(
        house.db, house.project, [A, B], into=into, based_on=seen(house, A, B), by=house.people.ada
    )

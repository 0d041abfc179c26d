"""A small published tree and an image with labels that an agent proposed."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.criteria.models import CriteriaVersion, Node
from app.images.models import Image
from app.labels.models import Label, LabelEvent
from app.labels.proposing import Proposed, propose
from app.labels.saving import Saved, save, undo
from app.projects.models import Project
from taxonomy.tree import Polarity
from tests.factories import Make
from tests.people import Cast, cast


@dataclass
class Bench:
    """What the tests of this room work on; short verbs with sensible defaults."""

    db: Session
    make: Make
    people: Cast
    version: CriteriaVersion
    run: AgentRun
    image: Image
    nodes: dict[str, Node]

    @property
    def project(self) -> Project:
        return self.people.project

    def propose(
        self, *found: tuple[str, Polarity], run: AgentRun | None = None, **more: Any
    ) -> int:
        image = more.pop("image", self.image)
        findings = [Proposed(image.id, self.nodes[key].id, side, **more) for key, side in found]
        changed = propose(
            self.db,
            self.project,
            agent_run_id=(run or self.run).id,
            version_id=self.version.id,
            findings=findings,
        )
        self.db.commit()
        return changed

    def save(self, key: str, state: Any, polarity: str = "positive", **more: Any) -> Saved:
        values: dict[str, Any] = {
            "by": self.people.ben,
            "based_on": self.revision(),
            "operation_id": uuid4(),
        } | more
        saved = save(
            self.db, self.project, self.image.id, key=key, polarity=polarity, state=state, **values
        )
        self.db.commit()
        return saved

    def undo(self, *, operation_id: UUID | None = None, **more: Any) -> Saved:
        values: dict[str, Any] = {"by": self.people.ben} | more
        done = undo(self.db, self.project, self.image.id, operation_id=operation_id, **values)
        self.db.commit()
        return done

    def revision(self) -> int:
        self.db.expire_all()
        return self.db.scalars(select(Image.label_revision).where(Image.id == self.image.id)).one()

    def states(self) -> dict[tuple[str, str], str]:
        rows = self.db.execute(
            select(Node.key, Label.polarity, Label.state)
            .join(Node, Node.id == Label.node_id)
            .where(Label.image_id == self.image.id)
        )
        return {(key, polarity): state for key, polarity, state in rows}

    def label(self, key: str, polarity: str = "positive") -> Label:
        return self.db.scalars(
            select(Label)
            .where(
                Label.image_id == self.image.id,
                Label.node_id == self.nodes[key].id,
                Label.polarity == polarity,
            )
            .execution_options(populate_existing=True)
        ).one()

    def events(self) -> list[LabelEvent]:
        return list(
            self.db.scalars(
                select(LabelEvent)
                .where(LabelEvent.image_id == self.image.id)
                .order_by(LabelEvent.id)
            )
        )


@pytest.fixture
def bench(db: Session, make: Make) -> Bench:
    """The cast, a tree of two root dimensions, one published version, one image, one agent run.

    light (root) > tone (exclusive): bright, dark (opposed). composition (root): circle (flaw).
    """
    people = cast(make)
    project = people.project
    light = make.dimension(project, "Light", key="light")
    tone = make.dimension(project, "Tone", light, key="tone", exclusive=True)
    composition = make.dimension(project, "Composition", key="composition")
    nodes = {
        "bright": make.pair(
            project, tone, key="bright", positive_name="High key", negative_name="Washed out"
        ),
        "dark": make.pair(
            project, tone, key="dark", positive_name="Low key", negative_name="Murky blacks"
        ),
        "circle": make.pair(
            project,
            composition,
            key="circle",
            relation="flaw",
            positive_name="Circular composition",
            negative_name="Closed circle",
        ),
    }
    version = make.version(project)
    return Bench(
        db, make, people, version, make.agent_run(project, version), make.image(project), nodes
    )

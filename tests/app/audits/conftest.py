"""A project whose agent has labelled a few images, and an audit of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.orm import Session

from app.agents.models import AgentRun, AgentRunImage
from app.audits import sampling
from app.audits.inviting import invite_participants
from app.audits.judging import consent
from app.audits.models import Audit
from app.criteria.models import CriteriaVersion, Node
from app.images.models import Image
from app.labels.proposing import Proposed, propose
from app.labels.saving import Wanted, save
from app.participants.access import get_participant
from app.participants.models import Participant
from taxonomy.tree import Polarity
from tests.factories import Make
from tests.people import Cast, cast

LIGHT, COLOR = "light", "color"


@dataclass
class Studio:
    """Two root dimensions with two pairs each; images are labelled by `annotate`."""

    db: Session
    make: Make
    cast: Cast
    pairs: list[Node]
    version: CriteriaVersion
    run: AgentRun
    images: list[Image] = field(default_factory=list)

    def annotate(
        self, *labels: tuple[int, str], run: AgentRun | None = None, **image: Any
    ) -> Image:
        """A new image, or `image=` an old one, with labels (index of the pair, polarity)."""
        shown: Image = image.pop("image", None) or self.make.image(self.cast.project, **image)
        run = run or self.run
        propose(
            self.db,
            self.cast.project,
            agent_run_id=run.id,
            version_id=run.version_id,
            findings=[
                Proposed(shown.id, self.pairs[index].id, polarity, "m", 0.987, 0.5, 0.123)  # type: ignore[arg-type]
                for index, polarity in labels
            ],
        )
        run.labels += len(labels)
        seen = self.db.get(AgentRunImage, (run.id, shown.id))
        if seen is None:
            under = {"version_id": run.version_id, "state": "labelled"}
            seen = AgentRunImage(agent_run_id=run.id, image_id=shown.id, proposed=0, **under)
            self.db.add(seen)
        seen.proposed += len(labels)
        self.db.commit()
        self.images.append(shown)
        return shown

    def decide(self, image: Image, index: int, polarity: Polarity, state: Wanted) -> None:
        """What a person says of an attribute of an image."""
        self.db.refresh(image)
        save(
            self.db,
            self.cast.project,
            image.id,
            key=self.pairs[index].key,
            polarity=polarity,
            state=state,
            based_on=image.label_revision,
            by=self.cast.ben,
            operation_id=uuid4(),
        )

    def audit(self, **values: Any) -> Audit:
        """A committed audit, by default of every image."""
        asked: dict[str, Any] = {
            "name": "First look",
            "notice": "Please read this.",
            "by": self.cast.lea,
        }
        design: dict[str, Any] = {"seed": 1, "sample_size": len(self.images)}
        for name, value in values.items():
            (asked if name in asked else design)[name] = value
        audit = sampling.create_audit(
            self.db, self.cast.project, design=sampling.Design(**design), **asked
        )
        self.db.commit()
        return audit

    def seats(self, audit: Audit, count: int) -> Sequence[tuple[Participant, str]]:
        """Participants who have agreed, with their tokens."""
        made = [
            (get_participant(self.db, token, of="audit"), token)
            for _, token in invite_participants(self.db, audit, count)
        ]
        for participant, _ in made:
            consent(self.db, participant)
        self.db.commit()
        return made


@pytest.fixture
def studio(db: Session, make: Make) -> Studio:
    people = cast(make)
    roots = [
        make.dimension(people.project, "Light and Shadow", key=LIGHT, position=1),
        make.dimension(people.project, "Color Relationship", key=COLOR, position=2),
    ]
    pairs = [
        make.pair(
            people.project,
            roots[number // 2],
            key=f"pair-of-{number}",
            position=number,
            positive_name=f"Fine thing {number}",
            negative_name=f"Poor thing {number}",
        )
        for number in range(4)
    ]
    version = make.version(people.project)
    return Studio(db, make, people, pairs, version, make.agent_run(people.project, version))

"""A project with real small pictures in the storage, a published tree, and people who decide."""

import io
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
from PIL import Image as Pictures
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.agents.launching import launch_agent_run
from app.agents.models import AgentRun
from app.criteria.models import CriteriaVersion, Node
from app.datasets.freezing import freeze_dataset
from app.datasets.models import Dataset
from app.datasets.selecting import Choice
from app.images.importing import add_image, create_import
from app.images.models import Image
from app.jobs.models import Job
from app.labels.models import Label
from app.labels.saving import save
from app.projects.models import Project
from tests.factories import Make
from tests.people import Cast, cast
from worker import ledger
from worker.agents import running
from worker.datasets import building

HANDLERS: dict[str, ledger.Handler] = {"agent_run": running.run, "dataset": building.run}
# Key, relation, names: keys that the measured agent decides about, in the order of the tree.
PAIRS = {
    "rich-saturation": ("opposed", "Rich saturation", "Dull color"),
    "warm-dominance": ("flaw", "Warm dominance", "Warm monotony"),
    "cool-dominance": ("flaw", "Cool dominance", "Cool monotony"),
    "wide-tonal-range": ("opposed", "Wide tonal range", "Narrow tonal range"),
    "controlled-low-key": ("flaw", "Controlled low key", "Sunken darks"),
}
RED, BLUE = 0, 2


class Killed(BaseException):
    """The worker's process is gone: nothing of ours runs after it."""


def picture(seed: int = 0, hue: int = RED, size: tuple[int, int] = (96, 64)) -> Pictures.Image:
    """A saturated ramp of one hue that differs by seed in its noise alone: files of one picture."""
    width, height = size
    pixels = np.random.default_rng(seed).integers(0, 20, (height, width, 3), dtype=np.uint8)
    pixels[..., hue] = np.linspace(20, 220, width)
    return Pictures.fromarray(pixels)


def landscape(seed: int) -> Pictures.Image:
    """A picture with large forms that no other seed has."""
    cells = np.random.default_rng(seed).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    return Pictures.fromarray(cells).resize((180, 120), Pictures.Resampling.BICUBIC)


def encoded(image: Pictures.Image, form: str = "PNG", **options: Any) -> bytes:
    """The image as a file."""
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@dataclass
class Gallery:
    """What the tests of agent runs and datasets work on; each verb commits."""

    db: Session
    make: Make
    people: Cast
    version: CriteriaVersion
    import_id: int
    nodes: dict[str, Node]
    images: list[Image] = field(default_factory=list)

    @property
    def project(self) -> Project:
        return self.people.project

    def hang(self, data: bytes, prompt: str = "A painting", name: str = "") -> Image:
        """Store a picture as an import would."""
        name = name or f"{len(self.images)}.png"
        added = add_image(self.db, self.project, self.import_id, name, data, prompt=prompt)
        assert added == "added"
        self.db.commit()
        image = self.db.scalars(select(Image).order_by(Image.id.desc()).limit(1)).one()
        self.images.append(image)
        return image

    def hang_many(self, number: int, hue: int = RED) -> list[Image]:
        """Store several pictures of one hue."""
        start = len(self.images)
        return [self.hang(encoded(picture(start + each, hue))) for each in range(number)]

    def decide(
        self, image: Image, key: str, polarity: str = "positive", state: Any = "confirmed"
    ) -> None:
        """A person's decision."""
        self.db.expire_all()
        save(
            self.db,
            self.project,
            image.id,
            key=key,
            polarity=polarity,
            state=state,
            by=self.people.ben,
            based_on=image.label_revision,
            operation_id=uuid4(),
        )
        self.db.commit()

    def launch(self, agent: str = "measured", **more: Any) -> tuple[AgentRun, Job]:
        """Ask for an agent run."""
        run = launch_agent_run(self.db, self.project, agent=agent, by=self.people.lea, **more)
        self.db.commit()
        return run, self.db.get_one(Job, run.job_id)

    def freeze(self, name: str = "First", **options: Any) -> tuple[Dataset, Job]:
        """Ask for a dataset; `options` are those of a `Choice`."""
        choice = Choice(**options)
        dataset = freeze_dataset(
            self.db, self.project, name=name, by=self.people.lea, choice=choice
        )
        self.db.commit()
        return dataset, self.db.get_one(Job, dataset.job_id)

    def work(self, job: Job) -> Job:
        """Do the job as a worker would, and look at its row again."""
        assert ledger.run(job.id, HANDLERS)
        self.db.rollback()
        self.db.expire_all()
        return job

    def labels(self) -> list[Label]:
        """Every label, by image."""
        self.db.rollback()
        self.db.expire_all()
        return list(self.db.scalars(select(Label).order_by(Label.image_id, Label.id)))


def open_gallery(db: Session, make: Make) -> Gallery:
    """The cast, two root dimensions with five pairs, a published version; no images yet."""
    people = cast(make)
    color = make.dimension(people.project, "Color", key="color-relationship")
    light = make.dimension(people.project, "Light", key="light-and-shadow")
    nodes = {
        key: make.pair(
            people.project,
            light if key in ("wide-tonal-range", "controlled-low-key") else color,
            key=key,
            relation=relation,
            positive_name=positive,
            negative_name=negative,
        )
        for key, (relation, positive, negative) in PAIRS.items()
    }
    version = make.version(people.project)
    row = create_import(db, people.project, source="folder", origin="a test")
    db.commit()
    return Gallery(db, make, people, version, row.id, nodes)

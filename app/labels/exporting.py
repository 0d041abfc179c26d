"""Every label of a project, image by image, for whoever works with them elsewhere.

Read in pages of a transaction each, so that a slow reader holds no connection. An image stands as it was when
its page was read; its `revision` says which state that is.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Executable, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.models import CriteriaVersion, Node
from app.database import Json, unit_of_work
from app.images.inclusion import in_use
from app.images.models import Image
from app.images.traits import Knowing, summed
from app.labels.access import find_in_force
from app.labels.models import Label
from app.projects.models import Project
from taxonomy.applicability import UNKNOWN, Applicability, Reads, Traits
from taxonomy.tree import Criteria, Pair, Polarity

PAGE = 500
# However many exports run, they take one connection in all from those who work meanwhile.
_reading = threading.Lock()


class ExportedLabel(NamedTuple):
    """A label with what it rests on. `path` are the keys from the root dimension to the pair.

    `reads` is its polarity, or what the image's style makes of it; `applies` is false where the image
    lacks what it needs. `version` is the criteria version it was made under.
    """

    key: str
    polarity: Polarity
    name: str
    path: tuple[str, ...]
    reads: Reads
    applies: bool
    retired: bool
    state: str
    source: str
    agent: str | None
    version: int
    confidence: float | None
    measure: str | None
    value: float | None
    threshold: float | None
    evidence: str | None
    decided_by: str | None
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class ExportedImage:
    """An image and its labels in tree order; `revision` counts the actions on its labels."""

    id: int
    name: str
    sha256: str
    width: int
    height: int
    prompt: str
    metadata: Json
    done_at: datetime | None
    revision: int
    labels: tuple[ExportedLabel, ...]

    def named(self, polarity: Polarity) -> list[str]:
        """A_pos or A_neg: the names of what is confirmed, applies, is in use and reads so here."""
        return [
            each.name
            for each in self.labels
            if each.state == "confirmed"
            and each.applies
            and not each.retired
            and each.reads == polarity
        ]


def export_images(project_id: int) -> Iterator[ExportedImage]:
    """The images in use in the order of their import, each with all its labels of the criteria in force.

    A project without published criteria has no labels.
    """
    after = 0
    while True:
        with _reading, unit_of_work() as db:
            page = _read_page(db, project_id, after)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].id


def _read_page(db: Session, project_id: int, after: int) -> list[ExportedImage]:
    project = db.get_one(Project, project_id)
    images = db.scalars(
        select(Image)
        .where(Image.project_id == project_id, Image.id > after, in_use())
        .order_by(Image.id)
        .limit(PAGE)
    ).all()
    in_force = find_in_force(db, project)
    labels = _find_labels(db, project, in_force.criteria, images) if in_force else {}
    return [
        ExportedImage(
            each.id,
            each.name,
            each.sha256,
            each.width,
            each.height,
            each.prompt,
            each.details,
            each.done_at,
            each.label_revision,
            tuple(labels.get(each.id, ())),
        )
        for each in images
    ]


def _find_labels(
    db: Session, project: Project, criteria: Criteria, images: Sequence[Image]
) -> dict[int, list[ExportedLabel]]:
    known = Knowing(project, criteria).find(db, {each.id: each.details for each in images})
    traits = {image_id: summed(each) for image_id, each in known.items()}
    words = _Words(criteria)
    found: dict[int, list[tuple[Any, ExportedLabel]]] = {each.id: [] for each in images}
    for image_id, key, polarity, *row in db.execute(_rows([*found])):
        said = words.about(key, polarity, traits.get(image_id, UNKNOWN))
        if said is not None:
            found[image_id].append((said.place, ExportedLabel(key, polarity, *said[1:], *row)))
    return {image_id: [label for _, label in sorted(labels)] for image_id, labels in found.items()}


class _Said(NamedTuple):
    """What the criteria say of an attribute on images of the same traits."""

    place: int
    name: str
    path: tuple[str, ...]
    reads: Reads
    applies: bool
    retired: bool


class _Words:
    """What the criteria say of each attribute, asked once for all images of the same traits."""

    def __init__(self, criteria: Criteria) -> None:
        self._criteria = criteria
        self._applicability = Applicability(criteria)
        self._places = {entry.node.key: place for place, entry in enumerate(criteria.walk())}
        self._said: dict[tuple[str, Polarity, Traits], _Said | None] = {}

    def about(self, key: str, polarity: Polarity, traits: Traits) -> _Said | None:
        """None where the criteria in force do not have it."""
        asked = (key, polarity, traits)
        if asked not in self._said:
            self._said[asked] = self._find(*asked)
        return self._said[asked]

    def _find(self, key: str, polarity: Polarity, traits: Traits) -> _Said | None:
        entry = self._criteria.find(key)
        if entry is None or not isinstance(entry.node, Pair):
            return None
        return _Said(
            2 * self._places[key] + (polarity == "negative"),
            entry.node.attribute(polarity).name,
            entry.path,
            self._applicability.reads(key, polarity, traits),
            not self._applicability.lacking(key, traits),
            entry.retired,
        )


def _rows(image_ids: Sequence[int]) -> Executable:
    return (
        select(
            Label.image_id,
            Node.key,
            Label.polarity,
            Label.state,
            Label.source,
            AgentRun.agent,
            CriteriaVersion.number,
            Label.confidence,
            Label.measure,
            Label.value,
            Label.threshold,
            Label.evidence,
            Person.name,
            Label.decided_at,
        )
        .join(Node, Node.id == Label.node_id)
        .join(CriteriaVersion, CriteriaVersion.id == Label.version_id)
        .outerjoin(AgentRun, AgentRun.id == Label.agent_run_id)
        .outerjoin(Person, Person.id == Label.decided_by)
        .where(Label.image_id == func.any(list(image_ids)))
    )

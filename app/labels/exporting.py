"""Every label of a project, image by image, for whoever works with them elsewhere.

Read in pages of a transaction each, so that a slow reader holds no connection. An image stands as it was when
its page was read; its `revision` says which state that is.
"""

import threading
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from sqlalchemy import Executable, SQLColumnExpression, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.models import CriteriaVersion, Node
from app.database import Json, unit_of_work
from app.images.applicability import find_not_applicable
from app.images.inclusion import in_use
from app.images.models import Image
from app.images.traits import Knowing, summed
from app.labels.access import InForce, find_in_force
from app.labels.models import Label
from app.projects.models import Project
from taxonomy.applicability import UNKNOWN, Applicability, Reads, Traits
from taxonomy.tree import Pair, Polarity

PAGE = 200
Columns: TypeAlias = Sequence[SQLColumnExpression[Any]]
"""What a format reads of each label: of `Label`, and of its `AgentRun`, `CriteriaVersion` and `Person`."""
# However many exports run, they take one connection in all from those who work meanwhile.
_reading = threading.Lock()


@dataclass(frozen=True)
class Said:
    """What the criteria say of an attribute on images alike; `path` are the keys from the root dimension to the pair.

    `reads` is its polarity, or what the image's style makes of it; `applies` is false where the image lacks
    what it needs. `place` orders attributes as the tree does.
    """

    place: int
    key: str
    polarity: Polarity
    name: str
    path: tuple[str, ...]
    reads: Reads
    applies: bool
    retired: bool
    written: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    """What a format has made of it: the same words are written a million times."""


class ExportedLabel(NamedTuple):
    """A label: what the criteria say of it, its state, the agent that proposed it, and what the format asked for."""

    said: Said
    state: str
    agent: str | None
    columns: Sequence[Any]


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
    labels: Sequence[ExportedLabel]

    def named(self, polarity: Polarity) -> list[str]:
        """A_pos or A_neg: the names of what is confirmed, applies, is in use and reads so here."""
        return [
            said.name
            for said, state, _, _ in self.labels
            if state == "confirmed" and said.reads == polarity and said.applies and not said.retired
        ]


def export_images(project_id: int, columns: Columns) -> Iterator[ExportedImage]:
    """The images in use in the order of their import, each with all its labels of the criteria in force.

    `columns` are what is to be read of each label, beside its state and agent. A project without published
    criteria has no labels.
    """
    # The next page is read while the last one is written: that takes as long here as in the database.
    with ThreadPoolExecutor(1, thread_name_prefix="export") as ahead:
        read = ahead.submit(_read_next, project_id, None, columns, 0)
        while True:
            words, page = read.result()
            if len(page) == PAGE:
                read = ahead.submit(_read_next, project_id, words, columns, page[-1].id)
            yield from page
            if len(page) < PAGE:
                return


class _Words:
    """What one version of the criteria says of each attribute, asked once for all images alike."""

    def __init__(self, db: Session, project: Project, in_force: InForce) -> None:
        criteria = in_force.criteria
        self.version_id = in_force.version_id
        self.criteria = criteria
        self._applicability = criteria.derived(Applicability)
        self._places = {entry.node.key: place for place, entry in enumerate(criteria.walk())}
        nodes = select(Node.id, Node.key).where(Node.project_id == project.id, Node.kind == "pair")
        self._keys = dict(db.execute(nodes).all())
        self._said: dict[tuple[int, str, frozenset[str], bool], Said | None] = {}

    def about(
        self, node_id: int, polarity: Polarity, traits: Traits, lacking: Collection[int]
    ) -> Said | None:
        """None where this version does not have it. `lacking` are the pairs that do not apply to the image."""
        asked = (node_id, polarity, traits.styles, node_id not in lacking)
        if asked not in self._said:
            self._said[asked] = self._find(node_id, polarity, traits, applies=asked[3])
        return self._said[asked]

    def _find(
        self, node_id: int, polarity: Polarity, traits: Traits, *, applies: bool
    ) -> Said | None:
        key = self._keys.get(node_id, "")
        entry = self.criteria.find(key)
        if entry is None or not isinstance(entry.node, Pair):
            return None
        return Said(
            2 * self._places[key] + (polarity == "negative"),
            key,
            polarity,
            entry.node.attribute(polarity).name,
            entry.path,
            self._applicability.reads(key, polarity, traits),
            applies,
            entry.retired,
        )


def _words_in_force(db: Session, project: Project, words: _Words | None) -> _Words | None:
    """`words` where their version is still in force; None before the first publication."""
    in_force = find_in_force(db, project)
    if in_force is None:
        return None
    if words is not None and words.version_id == in_force.version_id:
        return words
    return _Words(db, project, in_force)


def _read_next(
    project_id: int, words: _Words | None, columns: Columns, after: int
) -> tuple[_Words | None, list[ExportedImage]]:
    with _reading, unit_of_work() as db:
        project = db.get_one(Project, project_id)
        words = _words_in_force(db, project, words)
        return words, _read_page(db, project, words, columns, after)


def _read_page(
    db: Session, project: Project, words: _Words | None, columns: Columns, after: int
) -> list[ExportedImage]:
    # Columns, not objects of the session: ten thousand of those cost a second.
    images = db.execute(
        select(
            Image.id,
            Image.name,
            Image.sha256,
            Image.width,
            Image.height,
            Image.prompt,
            Image.details,
            Image.done_at,
            Image.label_revision,
        )
        .where(Image.project_id == project.id, Image.id > after, in_use())
        .order_by(Image.id)
        .limit(PAGE)
    ).all()
    details = {each.id: each.details for each in images}
    labels = _find_labels(db, project, words, columns, details) if words else {}
    return [ExportedImage(*each, labels.get(each.id, ())) for each in images]


def _find_labels(
    db: Session, project: Project, words: _Words, columns: Columns, details: dict[int, Json]
) -> dict[int, list[ExportedLabel]]:
    known = Knowing(project, words.criteria).find(db, details)
    traits = {image_id: summed(each) for image_id, each in known.items()}
    lacking = find_not_applicable(db, [*details])
    found: dict[int, list[ExportedLabel]] = {image_id: [] for image_id in details}
    for row in db.execute(_rows([*details], columns)):
        image_id, node_id, polarity, state, agent, *asked = row
        said = words.about(
            node_id, polarity, traits.get(image_id, UNKNOWN), lacking.get(image_id, ())
        )
        if said is not None:
            found[image_id].append(ExportedLabel(said, state, agent, asked))
    for labels in found.values():
        labels.sort(key=_place)
    return found


def _place(label: ExportedLabel) -> int:
    return label.said.place


def _rows(image_ids: Sequence[int], columns: Columns) -> Executable:
    return (
        select(Label.image_id, Label.node_id, Label.polarity, Label.state, AgentRun.agent, *columns)
        .join(CriteriaVersion, CriteriaVersion.id == Label.version_id)
        .outerjoin(AgentRun, AgentRun.id == Label.agent_run_id)
        .outerjoin(Person, Person.id == Label.decided_by)
        .where(Label.image_id == func.any(list(image_ids)))
    )

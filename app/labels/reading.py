"""Labels as they are shown and handed on: of one image, of many, their contradictions, their history."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Row, Select, bindparam, cast, func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.agents.models import AgentRun
from app.criteria.models import CriteriaVersion, Node
from app.criteria.searching import version_index
from app.images import finding
from app.images.models import Image
from app.images.traits import Trait
from app.labels.access import InForce, find_in_force
from app.labels.applying import Applied, apply
from app.labels.history import find_history as find_history
from app.labels.models import STATES, Label, LabelCount
from app.projects.models import Project
from taxonomy import contradictions as contradictory
from taxonomy.applicability import Reads
from taxonomy.contradictions import Contradiction
from taxonomy.searching import FoundAttribute
from taxonomy.tree import Criteria, Dimension, Entry, Pair, Polarity

HOLD = ("proposed", "confirmed")
"""The states of labels that say something for an attribute; who is unsure says nothing."""


class Stated(NamedTuple):
    """A label as far as contradictions go: which attribute, and its state."""

    key: str
    polarity: str
    state: str


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One label of an image with the words that explain it. `reads` is its polarity, or what the image's
    style makes of it; `lacking` names content for want of which it does not apply. `answers` is what several
    readings say, where somebody is to settle that they differ.
    """

    key: str
    polarity: Polarity
    name: str
    definition: str
    opposite: str
    relation: str
    state: str
    source: str
    agent: str | None
    measure: str | None
    value: float | None
    threshold: float | None
    confidence: float | None
    evidence: str | None
    revision: int
    decided_by: str | None
    decided_by_id: int | None
    decided_at: datetime | None
    version_number: int
    retired: bool
    contradictions: tuple[str, ...] = ()
    reads: Reads = "positive"
    lacking: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DimensionLabels:
    """The labels directly below one dimension. `path` names the dimensions below the root."""

    key: str
    path: tuple[str, ...]
    exclusive: bool
    rows: tuple[LabelRow, ...]


@dataclass(frozen=True, slots=True)
class RootLabels:
    """The labels below one root dimension, in tree order."""

    key: str
    name: str
    dimensions: tuple[DimensionLabels, ...]

    @property
    def rows(self) -> tuple[LabelRow, ...]:
        """All labels below this root dimension."""
        return tuple(row for each in self.dimensions for row in each.rows)

    @property
    def num_undecided(self) -> int:
        """How many of them wait for a person."""
        return sum(row.state == "proposed" for row in self.rows)


@dataclass(frozen=True, slots=True)
class ImageLabels:
    """All labels of one image, as of its label revision. Those that do not apply to it stand apart, in
    `not_applicable`: nothing asks for them or counts them.
    """

    image: Image
    revision: int
    in_force: InForce | None
    roots: tuple[RootLabels, ...]
    contradictions: tuple[Contradiction, ...]
    num_hidden: int = 0
    not_applicable: tuple[LabelRow, ...] = ()
    known: tuple[Trait, ...] = ()

    @property
    def rows(self) -> tuple[LabelRow, ...]:
        """All labels that apply, in tree order."""
        return tuple(row for root in self.roots for row in root.rows)

    def num(self, state: str) -> int:
        return sum(row.state == state for row in self.rows)

    def named(self, polarity: str, states: Sequence[str] = ("confirmed",)) -> tuple[LabelRow, ...]:
        """A_pos or A_neg: the labels that hold and read so here, without retired pairs."""
        return tuple(
            row
            for row in self.rows
            if row.reads == polarity and row.state in states and not row.retired
        )


@dataclass(slots=True)
class _Found:
    label: Label | Row[Any]
    key: str
    decided_by: str | None
    version_number: int
    agent: str | None
    entry: Entry | None = field(default=None)
    answers: tuple[str, ...] = ()


def contradictions(labels: Iterable[Stated], criteria: Criteria) -> tuple[Contradiction, ...]:
    """The contradictions among an image's labels that hold or may hold, in tree order."""
    held = {(each.key, each.polarity) for each in labels if each.state in HOLD}
    return contradictory.contradictions(held, criteria)


def find_labels(
    db: Session,
    project: Project,
    image: Image,
    *,
    suggestions: bool = True,
    viewer_id: int | None = None,
) -> ImageLabels:
    """All labels of an image by root dimension and dimension, in tree order.

    Without `suggestions`, what is only proposed is left out and counted in `num_hidden`, and so
    is what somebody other than the viewer rejected of it or was unsure of; what an agent says of the others is left out
    too, so that nothing tells which of them it proposed.
    """
    in_force = find_in_force(db, project)
    found = _find(db, image)
    revision = image.label_revision
    num_hidden = 0
    if not suggestions:
        shown = [each for each in found if _is_no_suggestion(each.label, viewer_id)]
        num_hidden = len(found) - len(shown)
        found = shown
    if in_force is None:
        return ImageLabels(image, revision, None, (), (), num_hidden)
    criteria = in_force.criteria
    for each in found:
        each.entry = criteria.find(each.key)
    here = apply(db, project, criteria, image)
    asked = [each for each in found if here.applies(each.key)]
    named = [Stated(each.key, each.label.polarity, each.label.state) for each in asked]
    against = contradictions(named, criteria)
    others = [each for each in found if not here.applies(each.key)]
    folded = _grouped(others, here, (), suggestions=suggestions)
    return ImageLabels(
        image,
        revision,
        in_force,
        _grouped(asked, here, against, suggestions=suggestions),
        against,
        num_hidden,
        not_applicable=tuple(row for root in folded for row in root.rows),
        known=here.known,
    )


@dataclass(frozen=True, slots=True)
class Question:
    """An attribute that is asked about on the labelling page, with the answer so far; `is_own` says that who is
    asked brought it up, and may take it away again.
    """

    node: Node
    polarity: Polarity
    state: str
    is_own: bool = False
    answers: tuple[str, ...] = ()


def lay_out(
    db: Session, project: Project, image: Image, questions: Iterable[Question], person: Person
) -> ImageLabels:
    """A sheet like that of an image's labels, of what a person is asked about it. What has left the criteria in
    force is not asked any more, nor does anything tell who or what proposed it.
    """
    in_force = find_in_force(db, project)
    if in_force is None:
        return ImageLabels(image, 0, None, (), ())
    here = apply(db, project, in_force.criteria, image)
    found = []
    for each in questions:
        label = Label(
            polarity=each.polarity,
            state=each.state,
            source="person",
            revision=0,
            decided_by=person.id if each.is_own else None,
        )
        who = "you" if each.state != "proposed" else None
        entry = in_force.criteria.find(each.node.key)
        found.append(
            _Found(label, each.node.key, who, in_force.number, None, entry, answers=each.answers)
        )
    return ImageLabels(image, 0, in_force, _grouped(found, here, (), suggestions=True), ())


def _is_no_suggestion(label: Label | Row[Any], viewer_id: int | None) -> bool:
    if label.state in ("rejected", "unsure") and label.source != "person":
        return label.decided_by == viewer_id
    return label.state != "proposed"


_STATED = (
    select(Node.key, Label.polarity, Label.state)
    .join(Node, Node.id == Label.node_id)
    .where(Label.image_id == bindparam("image_id"))
)


def find_contradictions_of(
    db: Session, project: Project, image: Image, *, suggestions: bool = True
) -> tuple[Contradiction, ...]:
    """The contradictions among the labels of one image, without `suggestions` among the decided ones."""
    in_force = find_in_force(db, project)
    if in_force is None:
        return ()
    rows = db.execute(_STATED, {"image_id": image.id})
    here = apply(db, project, in_force.criteria, image)
    stated = [each for row in rows if here.applies((each := Stated(*row)).key)]
    if not suggestions:
        stated = [each for each in stated if each.state != "proposed"]
    return contradictions(stated, in_force.criteria)


def _find(db: Session, image: Image) -> list[_Found]:
    rows = db.execute(_LABELS, {"image_id": image.id})
    return [_Found(row, row.key, row.who, row.number, row.agent) for row in rows]


# Columns and no objects: a page shows 25 of them and changes none.
_SHOWN: tuple[Any, ...] = (
    *(Node.key, Person.name.label("who"), CriteriaVersion.number, AgentRun.agent),
    *(Label.polarity, Label.state, Label.source, Label.measure, Label.value, Label.threshold),
    *(Label.confidence, Label.evidence, Label.revision, Label.decided_by, Label.decided_at),
)
_LABELS: Select[Any] = (
    select(*_SHOWN)
    .select_from(Label)
    .join(Node, Node.id == Label.node_id)
    .join(CriteriaVersion, CriteriaVersion.id == Label.version_id)
    .outerjoin(Person, Person.id == Label.decided_by)
    .outerjoin(AgentRun, AgentRun.id == Label.agent_run_id)
    .where(Label.image_id == bindparam("image_id"))
)


class _Order:
    """Where each node stands in the tree; worked out once for a tree."""

    def __init__(self, criteria: Criteria) -> None:
        self.places = {entry.node.key: place for place, entry in enumerate(criteria.walk())}


def _grouped(
    found: Sequence[_Found],
    here: Applied,
    against: Sequence[Contradiction],
    *,
    suggestions: bool,
) -> tuple[RootLabels, ...]:
    criteria = here.criteria
    messages: dict[tuple[str, str], list[str]] = {}
    for contradiction in against:
        for named in contradiction.attributes:
            messages.setdefault(named, []).append(contradiction.message)
    by_parent: dict[str, list[LabelRow]] = {}
    order = criteria.derived(_Order).places
    in_tree = [each for each in found if each.entry is not None]
    in_tree.sort(key=lambda each: (order[each.key], each.label.polarity == "negative"))
    for each in in_tree:
        assert each.entry is not None
        assert each.entry.parent is not None
        row = _row(each, here, messages.get((each.key, each.label.polarity), []))
        if not suggestions:
            row = _without_agent(row)
        by_parent.setdefault(each.entry.parent.key, []).append(row)
    groups: dict[str, list[DimensionLabels]] = {}
    for key, rows in by_parent.items():
        entry = criteria.entry(key)
        assert isinstance(entry.node, Dimension)
        path = tuple(criteria.dimension(above).name for above in entry.path[1:])
        group = DimensionLabels(key, path, entry.node.exclusive, tuple(rows))
        groups.setdefault(entry.root.key, []).append(group)
    return tuple(
        RootLabels(key, criteria.dimension(key).name, tuple(parts)) for key, parts in groups.items()
    )


def _row(found: _Found, here: Applied, messages: Sequence[str]) -> LabelRow:
    label, entry = found.label, found.entry
    assert entry is not None
    assert isinstance(entry.node, Pair)
    polarity: Polarity = "positive" if label.polarity == "positive" else "negative"
    attribute = entry.node.attribute(polarity)
    other = entry.node.attribute("negative" if polarity == "positive" else "positive")
    return LabelRow(
        key=entry.node.key,
        polarity=polarity,
        name=attribute.name,
        definition=attribute.definition,
        opposite=other.name,
        relation=entry.node.relation,
        state=label.state,
        source=label.source,
        agent=found.agent,
        measure=label.measure,
        value=label.value,
        threshold=label.threshold,
        confidence=label.confidence,
        evidence=label.evidence,
        revision=label.revision,
        decided_by=found.decided_by,
        decided_by_id=label.decided_by,
        decided_at=label.decided_at,
        version_number=found.version_number,
        retired=entry.retired,
        contradictions=tuple(messages),
        reads=here.reads(entry.node.key, polarity),
        lacking=here.lacking(entry.node.key),
        answers=found.answers,
    )


def find_addable(in_force: InForce, text: str, *, limit: int = 40) -> list[FoundAttribute]:
    """Attributes that can be added under the version in force, by words, best first."""
    return version_index(in_force.version_id, in_force.criteria).attributes(text, limit=limit)


def _without_agent(row: LabelRow) -> LabelRow:
    """The row as if the person who decided it had been the first to state it."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("agent", "measure", "value", "threshold", "confidence", "evidence")
    )
    return replace(row, source="person", **nothing)


def count_by_state(db: Session, project: Project) -> dict[str, int]:
    """How many labels of a project are in each state, among those that apply."""
    rows = db.execute(
        select(LabelCount.state, cast(func.sum(LabelCount.num), BigInteger))
        .where(LabelCount.project_id == project.id, ~LabelCount.lacking)
        .group_by(LabelCount.state)
    )
    return dict.fromkeys(STATES, 0) | {row[0]: row[1] for row in rows}


def find_neighbours(db: Session, project: Project, image_id: int) -> tuple[int | None, int | None]:
    """The images before and after one, by id."""
    return finding.neighbours(db, project, image_id)

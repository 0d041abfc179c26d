"""What a file of labels would change: read whole, every line, before anything is stored."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.errors import Invalid
from app.label_imports.files import Format, Read, read_labels
from app.label_imports.label_studio import Absent
from app.label_imports.matching import Attribute, Attributes, Images, People, Unknown
from app.label_imports.rows import FileLabel, Problem
from app.labels.access import InForce, get_in_force
from app.labels.importing import (
    Incoming,
    add_incoming,
    begin_incoming,
    count_effects,
    find_contradicting,
    find_twice,
)
from app.projects.models import Project

AT_ONCE = 5_000
NAMED = 20
"""So many of each kind are named with their lines; all are counted."""
ASKED = 200
MOST_AGENTS = 100
Report = Callable[[int], None]


@dataclass
class Noted:
    """Things of one kind that were met in a file: how many labels each concerns, the first line, and why."""

    lines: dict[str, list[Any]] = field(default_factory=dict)

    def note(self, words: str, line: int, unknown: Unknown) -> None:
        held = self.lines.setdefault(words, [0, line, unknown])
        held[0] += 1

    @property
    def labels(self) -> int:
        return sum(held[0] for held in self.lines.values())

    def as_json(self, most: int) -> list[Json]:
        return [
            {"words": words, "labels": number, "line": line, "reason": unknown.reason}
            | ({"like": [list(each) for each in unknown.like]} if unknown.like else {})
            for words, (number, line, unknown) in islice(self.lines.items(), most)
        ]


@dataclass
class Matched:
    """The labels of a file with what they name found, some at a time; the rest is noted, and counted."""

    db: Session
    project: Project
    in_force: InForce
    importer: Person
    chosen: Mapping[str, str]
    images: Noted = field(default_factory=Noted)
    attributes: Noted = field(default_factory=Noted)
    problems: list[Problem] = field(default_factory=list)
    num_problems: int = 0
    rows: int = 0
    left_out: int = 0
    agents: dict[str, int] = field(default_factory=dict)
    people: dict[str, list[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._attributes = Attributes(self.db, self.project, self.in_force, self.chosen)
        self._images = Images(self.project)
        self._people = People(self.db, self.project, self.importer)

    def match(
        self, db: Session, some: list[FileLabel | Problem], runs: Mapping[str, int]
    ) -> list[Incoming]:
        """Those of some lines that can be imported. `runs` are the agent runs by the names of agents; where a
        name has none yet, none is given.
        """
        labels = [each for each in some if isinstance(each, FileLabel)]
        self.problems += [each for each in some if isinstance(each, Problem)][
            : max(0, NAMED - len(self.problems))
        ]
        self.num_problems += len(some) - len(labels)
        self.rows += len(some)
        images = self._images.find(db, {each.image for each in labels})
        return [
            incoming
            for each in labels
            if (incoming := self._incoming(each, images[each.image], runs)) is not None
        ]

    def _incoming(
        self, label: FileLabel, image_id: int | Unknown, runs: Mapping[str, int]
    ) -> Incoming | None:
        attribute = self._attributes.find(label.attribute)
        if isinstance(image_id, Unknown):
            self.images.note(label.image.words, label.line, image_id)
        if isinstance(attribute, Unknown):
            self.attributes.note(label.attribute.words, label.line, attribute)
        if attribute is None:
            self.left_out += 1
        if not isinstance(attribute, Attribute) or isinstance(image_id, Unknown):
            return None
        if label.source == "agent":
            self._count_agent(label)
        return Incoming(
            label.line,
            image_id,
            attribute.node_id,
            attribute.polarity,
            label.state,
            label.source,
            runs.get(label.agent) if label.source == "agent" else None,
            self._decider(label),
            label.decided_at,
            label.measure,
            label.value,
            label.threshold,
            label.confidence,
            label.evidence,
        )

    def _count_agent(self, label: FileLabel) -> None:
        self.agents[label.agent] = self.agents.get(label.agent, 0) + 1
        if len(self.agents) > MOST_AGENTS:
            raise Invalid(
                f"Line {label.line}: up to here the file names more than {MOST_AGENTS} agents.",
                field="files",
                hint="Each becomes an agent run. Give agent the name of the program, not something of each label.",
            )

    def _decider(self, label: FileLabel) -> int:
        person_id, is_member = self._people.find(label.decided_by)
        if label.state != "proposed":
            held = self.people.setdefault(label.decided_by, [0, is_member])
            held[0] += 1
        return person_id


def in_parts(read: Read, size: int = AT_ONCE) -> Iterator[list[FileLabel | Problem]]:
    """The lines of a file, so many at a time."""
    while part := list(islice(read, size)):
        yield part


def look(
    db: Session,
    project: Project,
    path: Path,
    format: Format,
    *,
    by: Person,
    chosen: Mapping[str, str],
    absent: Absent,
    report: Report,
) -> Json:
    """What importing a file would do, in numbers, with the lines of what cannot be imported.

    Nothing is stored. Raises Conflict before the first publication of the criteria, Invalid where the file
    is of another kind or an answer in `chosen` names no attribute.
    """
    in_force = get_in_force(db, project)
    matched = Matched(db, project, in_force, by, chosen)
    begin_incoming(db)
    for part in in_parts(read_labels(path, format, absent=absent)):
        add_incoming(db, matched.match(db, part, {}))
        report(matched.rows)
    effects: Json = dict(count_effects(db).items())
    twice = find_twice(db, limit=NAMED)
    problems = [*matched.problems] + [
        Problem(last, f"says something else of the same label than line {first}.")
        for first, last in twice
    ]
    return {
        "version": in_force.number,
        "version_id": in_force.version_id,
        "rows": matched.rows,
        **effects,
        "left_out": matched.left_out,
        "problems": {
            "number": matched.num_problems + len(twice),
            "first": [each._asdict() for each in sorted(problems)[:NAMED]],
        },
        "unknown_images": _noted(matched.images, NAMED),
        "unknown_attributes": _noted(matched.attributes, ASKED),
        "contradictions": _contradictions(db),
        "agents": [{"agent": name, "labels": number} for name, number in matched.agents.items()],
        "people": [
            {"person": name, "labels": number, "is_member": is_member}
            for name, (number, is_member) in matched.people.items()
        ][:ASKED],
    }


def _noted(noted: Noted, most: int) -> Json:
    return {"number": len(noted.lines), "labels": noted.labels, "first": noted.as_json(most)}


def _contradictions(db: Session) -> list[Json]:
    found = find_contradicting(db, limit=NAMED)
    return [
        {
            "line": each.line,
            "image_id": each.image_id,
            "image": each.image,
            "attribute": each.name,
            "polarity": each.polarity,
            "file": each.says,
            "here": each.stands,
        }
        for each in found
    ]

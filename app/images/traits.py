"""The style and the content of images: what their metadata says, what people and agents state.

What metadata says is read where it stands, so that a corrected text or a new name of a style counts at once.
What is stated is kept with its source; of one trait people count before metadata, metadata before agents.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from sqlalchemy import BigInteger, ColumnElement, bindparam, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.database import Json
from app.errors import Invalid
from app.images.listings import MAX_KEY
from app.images.models import Image, ImageTrait
from app.projects.models import Project
from method.saved_texts import one_line
from taxonomy.applicability import KINDS, Kind, Traits, Vocabulary
from taxonomy.tree import Criteria

Source: TypeAlias = Literal["person", "metadata", "agent"]

# The keys of metadata that are read where a project has not chosen others.
DEFAULT_KEYS: Mapping[Kind, tuple[str, ...]] = {"style": ("style",), "content": ("content",)}
MAX_KEYS = 20

_STATED = (
    select(ImageTrait, Person.name)
    .outerjoin(Person, Person.id == ImageTrait.person_id)
    .where(ImageTrait.image_id == func.any(bindparam("image_ids", type_=ARRAY(BigInteger))))
)


@dataclass(frozen=True, slots=True)
class Trait:
    """A style or content of an image that counts, and where it is known from."""

    kind: Kind
    value: str
    present: bool
    source: Source
    by: str | None = None


# Which metadata is read ------------------------------------------------------------------------


def trait_keys(project: Project) -> dict[Kind, tuple[str, ...]]:
    """The keys of metadata that a project reads style and content from."""
    chosen = project.options.get("trait_keys", {})
    return {kind: tuple(chosen.get(kind, DEFAULT_KEYS[kind])) for kind in KINDS}


def set_trait_keys(project: Project, keys: Mapping[Kind, Sequence[str]]) -> None:
    """Choose which metadata style and content are read from. Raises Invalid for what is no key."""
    tidy: dict[str, list[str]] = {}
    for kind in KINDS:
        names = [one_line(each).lower() for each in keys.get(kind, ())]
        tidy[kind] = list(dict.fromkeys(filter(None, names)))
        if len(tidy[kind]) > MAX_KEYS or any(len(each) > MAX_KEY for each in tidy[kind]):
            raise Invalid(
                f"At most {MAX_KEYS} keys are read, of at most {MAX_KEY} characters each.",
                field=kind,
            )
    project.options = {**project.options, "trait_keys": tidy}


# What is known ---------------------------------------------------------------------------------


class Knowing:
    """Reads the traits of many images of a project under one tree."""

    def __init__(self, project: Project, criteria: Criteria) -> None:
        self._keys = trait_keys(project)
        self._vocabulary = criteria.derived(Vocabulary)
        self._known = {
            *(("style", each.id) for each in criteria.styles),
            *(("content", each.id) for each in criteria.content),
        }

    def find(self, db: Session, details: Mapping[int, Json]) -> dict[int, tuple[Trait, ...]]:
        """What counts of each image, by id; `details` holds the metadata of each."""
        if not self._known:
            return {}
        rows = db.execute(_STATED, {"image_ids": list(details)})
        stated: dict[int, list[Trait]] = {}
        for row, name in rows:
            kind, source = cast(Kind, row.kind), cast(Source, row.source)
            said = Trait(kind, row.value, row.present, source, name)
            stated.setdefault(row.image_id, []).append(said)
        return {
            image_id: self._counting([*self._in_metadata(each), *stated.get(image_id, ())])
            for image_id, each in details.items()
        }

    def _in_metadata(self, details: Json) -> list[Trait]:
        return [
            Trait(kind, value, True, "metadata")
            for kind in KINDS
            for key in self._keys[kind]
            for value in self._vocabulary.find(kind, details.get(key))
        ]

    def _counting(self, said: Iterable[Trait]) -> tuple[Trait, ...]:
        """One for each style and content, by the source that counts most."""
        order: tuple[Source, ...] = ("agent", "metadata", "person")
        by_place: dict[tuple[str, str], Trait] = {}
        for each in sorted(said, key=lambda trait: order.index(trait.source)):
            if (each.kind, each.value) in self._known:
                by_place[each.kind, each.value] = each
        return tuple(by_place[place] for place in sorted(by_place))


def summed(traits: Iterable[Trait]) -> Traits:
    """What `taxonomy.applicability` asks for."""
    each = list(traits)
    return Traits(
        styles=frozenset(t.value for t in each if t.kind == "style" and t.present),
        present=frozenset(t.value for t in each if t.kind == "content" and t.present),
        absent=frozenset(t.value for t in each if t.kind == "content" and not t.present),
    )


def find_traits(
    db: Session, project: Project, criteria: Criteria, details: Mapping[int, Json]
) -> dict[int, Traits]:
    """What counts of images, by id; of an image that is left out nothing is known."""
    found = Knowing(project, criteria).find(db, details)
    return {image_id: summed(each) for image_id, each in found.items()}


# Stating: the verbs, with their events, are in `app.labels.stating` -------------------------------


def find_said(db: Session, image: Image, kind: Kind, value: str) -> bool | None:
    """What people said of a style or content of an image, None where they said nothing."""
    return db.scalar(select(ImageTrait.present).where(*_said(image, kind, value)))


def put_said(
    db: Session, image: Image, kind: Kind, value: str, *, present: bool | None, person_id: int
) -> None:
    """Keep what people say of a style or content of a locked image; None takes it away."""
    db.execute(delete(ImageTrait).where(*_said(image, kind, value)))
    if present is not None:
        row = {"image_id": image.id, "kind": kind, "value": value, "present": present}
        db.add(ImageTrait(**row, source="person", person_id=person_id))
    db.flush()


def put_seen(
    db: Session, agent_run_id: int, found: Collection[tuple[int, Kind, str]]
) -> list[tuple[int, Kind, str]]:
    """Keep what an agent saw of locked images (image, kind, value); returns what no agent had seen before."""
    if not found:
        return []
    place = tuple_(ImageTrait.image_id, ImageTrait.kind, ImageTrait.value)
    known = {
        (row.image_id, row.kind, row.value)
        for row in db.scalars(
            select(ImageTrait).where(ImageTrait.source == "agent", place.in_(list(found)))
        )
    }
    rows: list[dict[str, Any]] = [
        {"image_id": image_id, "kind": kind, "value": value, "agent_run_id": agent_run_id}
        | {"present": True, "source": "agent"}
        for image_id, kind, value in dict.fromkeys(found)
    ]
    statement = insert(ImageTrait)
    new = statement.excluded
    db.execute(
        statement.on_conflict_do_update(
            index_elements=["image_id", "kind", "value", "source"],
            set_={"agent_run_id": new.agent_run_id, "at": func.clock_timestamp()},
        ),
        rows,
    )
    return [each for each in dict.fromkeys(found) if each not in known]


def _said(image: Image, kind: Kind, value: str) -> tuple[ColumnElement[bool], ...]:
    place = (ImageTrait.image_id == image.id, ImageTrait.kind == kind, ImageTrait.value == value)
    return (*place, ImageTrait.source == "person")

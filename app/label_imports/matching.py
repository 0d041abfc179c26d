"""Finds out which image, attribute and person of a project a file means. What it cannot tell, it asks; it never guesses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.criteria.searching import version_index
from app.errors import Invalid
from app.images.inclusion import in_use
from app.images.models import Image
from app.label_imports.rows import NamedAttribute, NamedImage
from app.labels.access import InForce
from app.projects.models import Membership, Project
from taxonomy.folding import fold
from taxonomy.tree import POLARITIES, Entry, Pair, Polarity

LIKELY = 3
LIKENED = 1_000
LEFT_OUT = ""
"""What stands for an attribute whose labels are not to be imported."""


class Attribute(NamedTuple):
    """An attribute of the criteria in force."""

    node_id: int
    key: str
    polarity: Polarity
    name: str


@dataclass(frozen=True)
class Unknown:
    """Why something that a file names was not found, and what it may mean: keys with polarity, and names."""

    reason: str
    like: tuple[tuple[str, str], ...] = ()


# Attributes -------------------------------------------------------------------------------------


class Attributes:
    """The attributes of the criteria in force, to be found the way files name them.

    `chosen` answers what was asked about: by the words of a file the attribute as `key/polarity`, or
    nothing for what is to be left out. Raises Invalid where an answer names no attribute.
    """

    def __init__(
        self, db: Session, project: Project, in_force: InForce, chosen: Mapping[str, str]
    ) -> None:
        self._in_force = in_force
        nodes = select(Node.key, Node.id).where(Node.project_id == project.id, Node.kind == "pair")
        self._ids = dict(db.execute(nodes).all())
        self._by_name: dict[str, list[tuple[Entry, Polarity]]] = {}
        for entry in in_force.criteria.walk():
            for polarity in POLARITIES if isinstance(entry.node, Pair) else ():
                assert isinstance(entry.node, Pair)
                name = entry.node.attribute(polarity).name
                if name and not entry.retired:
                    self._by_name.setdefault(_folded(name), []).append((entry, polarity))
        self._looked_like = 0
        self._found: dict[NamedAttribute, Attribute | Unknown | None] = {}
        self._chosen = {words: self._answer(words, text) for words, text in chosen.items()}

    def _answer(self, words: str, text: str) -> Attribute | None:
        if text == LEFT_OUT:
            return None
        key, _, polarity = text.rpartition("/")
        found = self._by_key(key, polarity) if polarity in POLARITIES else None
        if isinstance(found, Attribute):
            return found
        raise Invalid(
            f"“{text[:100]}”, which was chosen for “{words[:100]}”, is no attribute of the criteria.",
            field="attributes",
            hint="Name it as key/positive or key/negative; an empty text leaves it out.",
        )

    def find(self, named: NamedAttribute) -> Attribute | Unknown | None:
        """The attribute, why it is not known, or None where it is to be left out."""
        if named not in self._found:
            self._found[named] = self._look_up(named)
        return self._found[named]

    def _look_up(self, named: NamedAttribute) -> Attribute | Unknown | None:
        if named.words in self._chosen:
            return self._chosen[named.words]
        if named.key:
            return self._by_key(named.key, named.polarity)
        key, _, polarity = named.name.rpartition("/")
        if polarity in POLARITIES and key in self._ids:
            return self._by_key(key, polarity)
        return self._named(named)

    def _by_key(self, key: str, polarity: str) -> Attribute | Unknown:
        criteria = self._in_force.criteria
        entry = criteria.find(key)
        if entry is not None and isinstance(entry.node, Pair):
            return self._attribute(entry, cast(Polarity, polarity))
        if entry is not None:
            return Unknown(f"“{key}” is a dimension; labels name attribute pairs.")
        successors = criteria.resolve(key)
        if successors:
            like = [
                self._attribute(criteria.entry(each), cast(Polarity, polarity))
                for each in successors
            ]
            return Unknown("It was replaced in the criteria.", _shown(like))
        return Unknown(
            f"Version {self._in_force.number} of the criteria has no pair with this key."
        )

    def _named(self, named: NamedAttribute) -> Attribute | Unknown:
        found = [
            (entry, polarity)
            for entry, polarity in self._by_name.get(_folded(named.name), ())
            if named.polarity in ("", polarity) and self._lies_in(entry, named.path)
        ]
        if len(found) == 1:
            return self._attribute(*found[0])
        if found:
            like = [self._attribute(*each) for each in found]
            return Unknown(f"{len(found)} attributes have this name; say which.", _shown(like))
        return Unknown("No attribute has this name.", self._like(named.name))

    def _like(self, name: str) -> tuple[tuple[str, str], ...]:
        """What a name may mean: looked up for as many as anybody is shown, as it takes a search each."""
        if self._looked_like >= LIKENED:
            return ()
        self._looked_like += 1
        index = version_index(self._in_force.version_id, self._in_force.criteria)
        likely = index.attributes(name, limit=LIKELY)
        return tuple((f"{each.key}/{each.polarity}", each.name) for each in likely)

    def _lies_in(self, entry: Entry, path: tuple[str, ...]) -> bool:
        """Whether the dimensions above a pair end as a path does, by names or by keys."""
        if not path:
            return True
        above = entry.path[:-1][-len(path) :]
        if len(above) < len(path):
            return False
        names = [self._in_force.criteria.dimension(key).name for key in above]
        return all(
            _folded(part) in (_folded(name), key)
            for part, name, key in zip(path, names, above, strict=True)
        )

    def _attribute(self, entry: Entry, polarity: Polarity) -> Attribute:
        assert isinstance(entry.node, Pair)
        key = entry.node.key
        return Attribute(self._ids[key], key, polarity, entry.node.attribute(polarity).name)


def _shown(attributes: Iterable[Attribute]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{each.key}/{each.polarity}", each.name) for each in attributes)


def _folded(text: str) -> str:
    return " ".join(fold(text).split())


# Images -----------------------------------------------------------------------------------------


class Images:
    """The images in use of a project, to be found the way files name them, some at a time."""

    def __init__(self, project: Project) -> None:
        self._project_id = project.id
        self._by_source: dict[str, list[int]] | None = None
        self._known: dict[NamedImage, int | Unknown] = {}

    def find(self, db: Session, named: Iterable[NamedImage]) -> dict[NamedImage, int | Unknown]:
        """The id of each, or why it is not known. Where a file gives a hash, nothing else counts."""
        wanted = set(named)
        # Labels of one image stand together: what was found for the last few is enough to keep.
        self._known = {each: found for each, found in self._known.items() if each in wanted}
        new = wanted - self._known.keys()
        by_hash = self._grouped(db, Image.sha256, {each.sha256 for each in new if each.sha256})
        named_so = {each.name for each in new if not each.sha256 and not each.source_id}
        by_name = self._grouped(db, Image.name, named_so)
        for each in new:
            if each.sha256:
                self._known[each] = _the_one(by_hash.get(each.sha256), "No image has this SHA-256.")
            elif each.source_id:
                found = self._of_source(db).get(each.source_id)
                self._known[each] = _the_one(found, "No image came with this id.")
            else:
                self._known[each] = _the_one(by_name.get(each.name), "No image has this name.")
        return self._known

    def _grouped(self, db: Session, column: object, values: set[str]) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        if values:
            rows = select(column, Image.id).where(  # type: ignore[call-overload]
                Image.project_id == self._project_id,
                in_use(),
                column == func.any(list(values)),
            )
            for value, image_id in db.execute(rows):
                found.setdefault(value, []).append(image_id)
        return found

    def _of_source(self, db: Session) -> dict[str, list[int]]:
        """What metadata calls `source_id` or `id`; read once, where a file asks for it."""
        if self._by_source is None:
            said = func.coalesce(Image.details["source_id"].astext, Image.details["id"].astext)
            rows = select(said, Image.id).where(
                Image.project_id == self._project_id, in_use(), said.is_not(None)
            )
            self._by_source = {}
            for value, image_id in db.execute(rows):
                self._by_source.setdefault(value, []).append(image_id)
        return self._by_source


def _the_one(found: list[int] | None, reason: str) -> int | Unknown:
    if not found:
        return Unknown(reason)
    if len(found) > 1:
        return Unknown(f"{len(found)} images are called so; give sha256.")
    return found[0]


# People -----------------------------------------------------------------------------------------


class People:
    """The members of a project, by e-mail address, and by name where one alone bears it."""

    def __init__(self, db: Session, project: Project, importer: Person) -> None:
        self._importer_id = importer.id
        self._ids: dict[str, int | None] = {}
        rows = db.execute(
            select(Person.id, Person.name, Person.email)
            .join(Membership, Membership.person_id == Person.id)
            .where(Membership.project_id == project.id)
        )
        for person_id, name, email in rows:
            self._ids[email.casefold()] = person_id
            folded = " ".join(name.casefold().split())
            self._ids[folded] = None if folded in self._ids else person_id

    def find(self, named: str) -> tuple[int, bool]:
        """Who decided, and whether the file named them: otherwise it is who imports."""
        found = self._ids.get(" ".join(named.casefold().split())) if named else None
        return (found, True) if found is not None else (self._importer_id, False)

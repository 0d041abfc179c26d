"""Whom notes name: `@` and the name of a member reaches them; nobody else, and no address is ever shown."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Select, delete, func, insert, select, update
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.models import Node
from app.images.models import Image
from app.notes.models import Discussion, Mention, Note
from app.notes.reading import about
from app.projects.models import Membership, Project
from taxonomy.folding import fold

PAGE = 50
MOST_OFFERED = 8
# Not that of an e-mail address.
_AT = re.compile(r"(?<![\w.])@")


@dataclass(frozen=True, slots=True)
class Named:
    """A note that names somebody: what it is about, who wrote it, and whether it was read."""

    mention: Mention
    note: Note
    discussion: Discussion
    node: Node | None
    image: Image | None
    author: str

    @property
    def title(self) -> str:
        """What the discussion is about."""
        return about(self.discussion, self.node, self.image)

    @property
    def is_on_label(self) -> bool:
        """Whether it is about a label of an image."""
        return self.discussion.polarity is not None


def find_named(text: str, members: Iterable[tuple[int, str]]) -> set[int]:
    """Who is named in a text: `@` and the whole name of a member, in whatever letters. Of two names where one begins
    with the other the longer one counts; of several members of one name all do.
    """
    by_name: dict[str, set[int]] = {}
    for person_id, name in members:
        if folded := fold(name):
            by_name.setdefault(folded, set()).add(person_id)
    longest_first = sorted(by_name, key=len, reverse=True)
    found: set[int] = set()
    for part in map(fold, _AT.split(text)[1:]):
        named = [each for each in longest_first if _begins(part, each)]
        found |= by_name[named[0]] if named else set()
    return found


def _begins(part: str, name: str) -> bool:
    return part.startswith(name) and not part[len(name) : len(name) + 1].isalnum()


def note_mentions(db: Session, project_id: int, note: Note) -> None:
    """Keep whom a note names now; who was named before and still is keeps having read it."""
    known = set(db.scalars(select(Mention.person_id).where(Mention.note_id == note.id)))
    named = set[int]()
    if "@" in note.text:
        rows = db.execute(_members(project_id)).all()
        named = find_named(note.text, [(row.id, row.name) for row in rows]) - {note.written_by}
    if gone := known - named:
        whose = Mention.person_id.in_(gone)
        db.execute(delete(Mention).where(Mention.note_id == note.id, whose))
    if new := named - known:
        about_note = {"note_id": note.id, "project_id": project_id}
        db.execute(insert(Mention), [about_note | {"person_id": each} for each in sorted(new)])


def _members(project_id: int) -> Select[int, str]:
    return (
        select(Person.id, Person.name)
        .join(Membership, Membership.person_id == Person.id)
        .where(Membership.project_id == project_id)
    )


def find_nameable(db: Session, project: Project, begins: str) -> Sequence[str]:
    """Names of members that begin with some letters, or have a word that does, for a box to offer."""
    wanted = fold(begins.strip())
    rows = db.execute(_members(project.id).order_by(Person.name, Person.id))
    names = dict.fromkeys(row.name for row in rows)
    return [name for name in names if f" {wanted}" in f" {fold(name)}"][:MOST_OFFERED]


def find_mentions(
    db: Session,
    project: Project,
    person: Person,
    *,
    unread: bool = False,
    before: int | None = None,
    limit: int = PAGE,
) -> Sequence[Named]:
    """Notes that name a person in a project, newest first."""
    asked = (
        select(Mention, Note, Discussion, Node, Image, Person.name)
        .join(Note, Note.id == Mention.note_id)
        .join(Discussion, Discussion.id == Note.discussion_id)
        .join(Person, Person.id == Note.written_by)
        .outerjoin(Node, Node.id == Discussion.node_id)
        .outerjoin(Image, Image.id == Discussion.image_id)
        .where(Mention.person_id == person.id, Mention.project_id == project.id)
        .order_by(Mention.note_id.desc())
        .limit(limit)
    )
    if unread:
        asked = asked.where(Mention.read_at.is_(None))
    if before is not None:
        asked = asked.where(Mention.note_id < before)
    return [Named(*row) for row in db.execute(asked)]


def labelled_images(mentions: Iterable[Named]) -> list[int]:
    """The images whose labels some notes are on: what they say may tell of a suggestion."""
    return [
        each.discussion.image_id
        for each in mentions
        if each.discussion.image_id is not None and each.is_on_label
    ]


def mark_read(
    db: Session,
    project: Project,
    person: Person,
    *,
    discussion_id: int | None = None,
) -> int:
    """Mark what names a person as read: all of it, or that of one discussion. Returns how many were unread."""
    mine = _unread_by(project, person)
    if discussion_id is not None:
        notes = select(Note.id).where(Note.discussion_id == discussion_id)
        mine.append(Mention.note_id.in_(notes))
    marked = db.execute(
        update(Mention)
        .where(*mine)
        .values(read_at=func.clock_timestamp())
        .returning(Mention.note_id)
        .execution_options(synchronize_session=False)
    )
    return len(marked.all())


def _unread_by(project: Project, person: Person) -> list[ColumnElement[bool]]:
    return [
        Mention.person_id == person.id,
        Mention.project_id == project.id,
        Mention.read_at.is_(None),
    ]


def count_unread_of(db: Session, project: Project, person: Person, discussion_id: int) -> int:
    """How many notes of a discussion name a person and are not read yet."""
    return (
        db.scalar(
            select(func.count())
            .select_from(Mention)
            .join(Note, Note.id == Mention.note_id)
            .where(
                *_unread_by(project, person),
                Note.discussion_id == discussion_id,
            )
        )
        or 0
    )

"""Writing notes at nodes, on images and on their labels: beginning a discussion, answering, editing, deleting, settling and reopening.

Nothing here changes the criteria or their revision.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from app.accounts.models import Person
from app.criteria.reading import get_node
from app.errors import Conflict, Invalid, NotAllowed, NotFound, Stale
from app.images.models import Image
from app.notes.mentioning import note_mentions
from app.notes.models import LONGEST, Discussion, Note
from app.projects.models import Project
from method.saved_texts import several_lines
from taxonomy.tree import POLARITIES


@dataclass(frozen=True)
class Writer:
    """Who writes, and the role that they have in the project."""

    person: Person
    role: str

    @property
    def is_expert(self) -> bool:
        """Whether they may settle what others began."""
        return self.role in ("expert", "lead")

    @property
    def is_lead(self) -> bool:
        """Whether they may edit and delete what others wrote."""
        return self.role == "lead"


def may_change(note: Note, by: Writer) -> bool:
    """Whether a note is theirs to edit or delete: who wrote it, and leads."""
    return note.deleted_at is None and (by.is_lead or note.written_by == by.person.id)


def may_settle(discussion: Discussion, by: Writer) -> bool:
    """Whether a discussion is theirs to settle or reopen: who began it, experts and leads."""
    return by.is_expert or discussion.started_by == by.person.id


def start_discussion(
    db: Session, project: Project, key: str, *, text: str, by: Writer
) -> Discussion:
    """Begin a discussion at a node of the working criteria. Raises NotFound; Invalid for no text, or too long a one."""
    said = _tidied(text)
    node = get_node(db, project, key)
    discussion = Discussion(project_id=project.id, node_id=node.id, started_by=by.person.id)
    db.add(discussion)
    db.flush()
    _add(db, discussion, said, by)
    return discussion


def start_on_image(
    db: Session,
    project: Project,
    image: Image,
    *,
    text: str,
    by: Writer,
    key: str = "",
    polarity: str = "",
) -> Discussion:
    """Begin a discussion on an image of the project, or with `key` and `polarity` on its label of that attribute.

    Raises NotFound for an attribute pair that is not there, Invalid for a side that is none, no text, or too long a one.
    """
    said = _tidied(text)
    node = get_node(db, project, key) if key else None
    if node is not None and (node.kind != "pair" or polarity not in POLARITIES):
        raise Invalid("A label is of an attribute pair and a side.", field="attribute")
    discussion = Discussion(
        project_id=project.id,
        image_id=image.id,
        node_id=node.id if node else None,
        polarity=polarity if node else None,
        started_by=by.person.id,
    )
    db.add(discussion)
    db.flush()
    _add(db, discussion, said, by)
    return discussion


def drop_discussions_on(db: Session, image: Image) -> int:
    """Delete what was written on an image that is erased: it tells of the picture. Returns how many discussions."""
    here = select(Discussion.id).where(Discussion.image_id == image.id)
    db.execute(delete(Note).where(Note.discussion_id.in_(here)))
    gone = db.execute(
        delete(Discussion).where(Discussion.image_id == image.id).returning(Discussion.id)
    )
    return len(gone.all())


def answer_discussion(
    db: Session, project: Project, discussion_id: int, *, text: str, by: Writer
) -> Note:
    """Add a note at the end of a discussion. Raises NotFound, Invalid, or Conflict where it has been settled."""
    said = _tidied(text)
    discussion = get_discussion(db, project, discussion_id, lock=True)
    if discussion.settled_at is not None:
        raise Conflict("This discussion has been settled.", hint="Reopen it to go on with it.")
    return _add(db, discussion, said, by)


def edit_note(
    db: Session, project: Project, note_id: int, *, text: str, based_on: int, by: Writer
) -> Note:
    """Change the text of a note. Raises NotFound, NotAllowed, Invalid, Conflict where it was deleted, and
    Stale with both texts where someone edited it since revision `based_on`.
    """
    said = _tidied(text)
    note, discussion = _get_own(db, project, note_id, by)
    if note.revision != based_on:
        raise Stale(
            "This note was edited meanwhile.",
            hint="Look at both texts and save again what should stand.",
            theirs=note.text,
            yours=said,
            revision=note.revision,
        )
    if said != note.text:
        note.text, note.revision = said, note.revision + 1
        note.edited_by, note.edited_at = by.person.id, datetime.now(UTC)
        db.flush()
        note_mentions(db, discussion.project_id, note)
    return note


def delete_note(db: Session, project: Project, note_id: int, *, by: Writer) -> Discussion | None:
    """Delete a note. Where notes follow it, its place stays and says so; a discussion without any text left
    goes with its last note, and None is returned. Raises NotFound, NotAllowed, or Conflict where it was deleted.
    """
    note, discussion = _get_own(db, project, note_id, by)
    notes = db.scalars(
        select(Note).where(Note.discussion_id == discussion.id).order_by(Note.id)
    ).all()
    if note is not notes[-1]:
        note.text, note.deleted_by, note.deleted_at = "", by.person.id, datetime.now(UTC)
        db.flush()
        note_mentions(db, discussion.project_id, note)
        return discussion
    # The last one goes, and with it the empty places that nothing follows any more.
    left = list(notes)
    left.pop()
    while left and left[-1].deleted_at is not None:
        left.pop()
    for each in notes[len(left) :]:
        db.delete(each)
    db.flush()
    if left:
        return discussion
    db.delete(discussion)
    db.flush()
    return None


def settle_discussion(
    db: Session, project: Project, discussion_id: int, *, settled: bool, by: Writer
) -> Discussion:
    """Mark a discussion as settled, or open it again. Doing so twice changes nothing. Raises NotFound, NotAllowed."""
    discussion = get_discussion(db, project, discussion_id, lock=True)
    if not may_settle(discussion, by):
        raise NotAllowed(
            "Only who began a discussion, experts and leads settle and reopen it.",
            hint="Write what you think as an answer.",
        )
    if settled and discussion.settled_at is None:
        discussion.settled_by, discussion.settled_at = by.person.id, datetime.now(UTC)
    elif not settled:
        discussion.settled_by = discussion.settled_at = None
    db.flush()
    return discussion


def get_discussion(
    db: Session, project: Project, discussion_id: int, *, lock: bool = False
) -> Discussion:
    """A discussion of this project. Raises NotFound."""
    query = select(Discussion).where(
        Discussion.id == discussion_id, Discussion.project_id == project.id
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    discussion = db.scalar(query)
    if discussion is None:
        raise NotFound(f"There is no discussion {discussion_id} in this project.")
    return discussion


def _get_own(db: Session, project: Project, note_id: int, by: Writer) -> tuple[Note, Discussion]:
    """A note that this person may change, with its discussion, which is locked."""
    discussion_id = db.scalar(
        select(Note.discussion_id)
        .join(Discussion, Discussion.id == Note.discussion_id)
        .where(Note.id == note_id, Discussion.project_id == project.id)
    )
    if discussion_id is None:
        raise NotFound(f"There is no note {note_id} in this project.")
    discussion = get_discussion(db, project, discussion_id, lock=True)
    note = db.get(Note, note_id, populate_existing=True)
    if note is None:
        raise NotFound(f"There is no note {note_id} in this project.")
    if note.deleted_at is not None:
        raise Conflict("This note has been deleted.", hint="Load the page again.")
    if not may_change(note, by):
        raise NotAllowed(
            "This note is someone else’s.", hint="Who wrote it, and leads, edit and delete it."
        )
    return note, discussion


def _add(db: Session, discussion: Discussion, text: str, by: Writer) -> Note:
    note = Note(discussion_id=discussion.id, text=text, written_by=by.person.id)
    db.add(note)
    db.flush()
    note_mentions(db, discussion.project_id, note)
    return note


def _tidied(text: str) -> str:
    said = several_lines(text)
    if not said:
        raise Invalid("Please write something.", field="text")
    if len(said) > LONGEST:
        raise Invalid(
            f"This has {len(said):,} characters; a note has at most {LONGEST:,}.",
            field="text",
            hint="Shorten it, or write two notes.",
        )
    return said

"""Discussions and notes as JSON."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from app.notes.mentioning import Named
from app.notes.reading import ShownDiscussion, ShownNote


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NoteIn(_In):
    """The text of a new note, at most 4,000 characters."""

    text: str


class ImageNoteIn(NoteIn):
    """The text of a new note on an image, or on its label of the attribute pair `key` and the side `polarity`."""

    key: str = ""
    polarity: str = ""


class NotePatch(_In):
    """Another text, and the revision of the note that was seen."""

    text: str
    based_on: int


class SettledIn(_In):
    """Settled, or open again."""

    settled: bool


class NoteOut(BaseModel):
    """One note. Of one that was deleted while answers followed it the place stays, without text."""

    id: int
    text: str
    revision: int
    written_by: str
    written_at: datetime
    edited_by: str | None
    edited_at: datetime | None
    deleted_by: str | None
    deleted_at: datetime | None

    @classmethod
    def of(cls, shown: ShownNote) -> "NoteOut":
        """The same as JSON."""
        note = shown.note
        return cls(
            id=note.id,
            text=note.text,
            revision=note.revision,
            written_by=shown.author,
            written_at=note.written_at,
            edited_by=shown.editor,
            edited_at=note.edited_at,
            deleted_by=shown.deleter,
            deleted_at=note.deleted_at,
        )


class DiscussionOut(BaseModel):
    """A discussion at the node with the key `node`, on `image`, or on the image's label of that node and `polarity`;
    `first` is the text of its first note.
    """

    id: int
    node: str | None
    image: int | None
    polarity: str | None
    first: str
    answers: int
    started_by: str
    started_at: datetime
    settled_by: str | None
    settled_at: datetime | None

    @classmethod
    def of(cls, shown: ShownDiscussion) -> "DiscussionOut":
        """The same as JSON."""
        return cls(
            id=shown.discussion.id,
            node=shown.node.key if shown.node else None,
            image=shown.discussion.image_id,
            polarity=shown.discussion.polarity,
            first=shown.first.text,
            answers=shown.num_answers,
            started_by=shown.author,
            started_at=shown.discussion.started_at,
            settled_by=shown.settler,
            settled_at=shown.discussion.settled_at,
        )


class MentionOut(BaseModel):
    """A note that names who asks: in which discussion, what that is about, and when it was read. `about` and `text`
    of one on a label are empty where suggestions are hidden.
    """

    note: int
    discussion: int
    about: str
    image: int | None
    text: str
    written_by: str
    written_at: datetime
    read_at: datetime | None

    @classmethod
    def of(cls, named: Named, *, labels: bool) -> "MentionOut":
        """The same as JSON; without `labels` it tells nothing of notes on labels."""
        hidden = named.is_on_label and not labels
        return cls(
            note=named.note.id,
            discussion=named.discussion.id,
            about="" if hidden else named.title,
            image=named.discussion.image_id,
            text="" if hidden else named.note.text,
            written_by=named.author,
            written_at=named.note.written_at,
            read_at=named.mention.read_at,
        )


class MentionsOut(BaseModel):
    """Notes that name who asks, newest first; `next` is the `before` of the next page."""

    items: list[MentionOut]
    next: int | None


class ReadIn(_In):
    """Which mentions were read: those of one discussion, or all."""

    discussion: int | None = None


class NamesOut(BaseModel):
    """Names of members that a note can name after `@`."""

    items: list[str]


class DiscussionsOut(BaseModel):
    """Discussions, newest first."""

    items: list[DiscussionOut]
    next: int | None


class NotesOut(BaseModel):
    """The notes of a discussion, in their order."""

    items: list[NoteOut]
    next: int | None

"""What people type about notes."""

from app.web.forms import Fields


class NoteForm(Fields):
    """The text of a new note."""

    text: str = ""


class ImageNoteForm(NoteForm):
    """The text of a new note on an image, or on one of its labels: a key and a side, `clear-edges/positive`."""

    attribute: str = ""


class ReadForm(Fields):
    """The discussion whose mentions were read; all where none is named."""

    discussion: int | None = None


class NoteEditForm(Fields):
    """Another text, and the revision of the note that was seen."""

    text: str = ""
    based_on: int


class SettleForm(Fields):
    """Settled, or open again."""

    settled: bool

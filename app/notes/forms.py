"""What people type about notes."""

from app.web.forms import Fields


class NoteForm(Fields):
    """The text of a new note."""

    text: str = ""


class NoteEditForm(Fields):
    """Another text, and the revision of the note that was seen."""

    text: str = ""
    based_on: int


class SettleForm(Fields):
    """Settled, or open again."""

    settled: bool

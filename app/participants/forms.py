"""Forms about participants, and those that they send."""

from pydantic import Field

from app.participants.notices import NOTICE_LENGTH
from app.web.forms import Fields


class LinksForm(Fields):
    """How many participants to invite."""

    count: int


class JudgementForm(Fields):
    """One answer, and the revision of it that was on the page."""

    answer: str = Field(min_length=1, max_length=40)
    based_on: int | None = Field(default=None, ge=0)


class NoticeForm(Fields):
    """A new text of the notice, and the number of the one that was edited."""

    notice: str = Field(min_length=1, max_length=NOTICE_LENGTH)
    based_on: int = Field(ge=1)


class ConsentForm(Fields):
    """The number of the notice that was read."""

    notice: int | None = Field(default=None, ge=1)

"""Forms of audits."""

from pydantic import Field, field_validator

from app.audits.sampling import NAME_LENGTH
from app.database import LARGEST_KEY
from app.participants.notices import NOTICE_LENGTH
from app.web.forms import Fields


class AuditForm(Fields):
    """A new audit; an empty agent run means the labels of all of them."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    agent_run: int | None = Field(default=None, ge=1, le=LARGEST_KEY)
    min_labels: int
    sample_size: int
    decoy_percent: int = 0
    seed: int
    notice: str = Field(min_length=1, max_length=NOTICE_LENGTH)

    @field_validator("agent_run", mode="before")
    @classmethod
    def _none_where_empty(cls, value: object) -> object:
        return None if value == "" else value


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

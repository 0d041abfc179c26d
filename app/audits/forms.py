"""Forms of audits."""

from typing import Literal

from pydantic import Field, field_validator

from app.audits.sampling import NAME_LENGTH, Design
from app.database import LARGEST_KEY
from app.participants.notices import NOTICE_LENGTH
from app.web.forms import Fields
from taxonomy.tree import Polarity


class AuditForm(Fields):
    """A new audit; an empty agent run means the labels of all of them."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    agent_run: int | None = Field(default=None, ge=1, le=LARGEST_KEY)
    min_labels: int
    sample_size: int
    decoy_percent: int = 0
    check_percent: int = 0
    probe_percent: int = 0
    strata: Literal["none", "root", "polarity", "run"] = "none"
    judges: int | None = None
    images_each: int | None = None
    seed: int
    notice: str = Field(min_length=1, max_length=NOTICE_LENGTH)

    @field_validator("agent_run", "judges", "images_each", mode="before")
    @classmethod
    def _none_where_empty(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def design(self) -> Design:
        """What is drawn and how it is judged."""
        return Design(**self.model_dump(exclude={"name", "notice"}))


class PlanForm(Fields):
    """What the numbers below the form rest on, as it is typed."""

    min_labels: str = ""
    agent_run: str = ""
    sample_size: str = ""
    judges: str = ""
    images_each: str = ""
    people: str = ""
    half_width: str = ""
    accuracy: str = ""


class BarForm(Fields):
    """Under which accuracy, in percent, attributes are flagged."""

    bar: float


class AgainForm(Fields):
    """An attribute whose labels are to be decided again."""

    key: str = Field(min_length=1, max_length=200)
    polarity: Polarity


class MissingForm(Fields):
    """The name of an attribute that somebody sees and was not asked for."""

    attribute: str = Field(min_length=1, max_length=200)

"""Forms of studies."""

from pydantic import Field, field_validator

from app.participants.notices import NOTICE_LENGTH
from app.studies.founding import NAME_LENGTH, Design
from app.web.forms import Fields


class StudyForm(Fields):
    """A new study."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    prompts: int
    has_ties: bool = False
    identical_percent: int = 0
    repeated_percent: int = 0
    judges: int | None = None
    prompts_each: int | None = None
    seed: int
    notice: str = Field(min_length=1, max_length=NOTICE_LENGTH)

    @field_validator("has_ties", mode="before")
    @classmethod
    def _ticked(cls, value: object) -> object:
        return value == "on" if isinstance(value, str) else value

    @field_validator("judges", "prompts_each", mode="before")
    @classmethod
    def _or_none(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def design(self) -> Design:
        """What is drawn and how it is asked."""
        return Design(**self.model_dump(exclude={"name", "notice"}))


class PlanForm(Fields):
    """What the numbers beside the form rest on, as it is typed."""

    prompts: str = ""
    people: str = ""
    share: str = ""
    judges: str = ""
    prompts_each: str = ""


class GroupForm(Fields):
    """The models of a group, by their keys among what evaluations left behind."""

    group: str = Field(min_length=1, max_length=200)
    models: list[str] = Field(default_factory=list, max_length=50)


class OpenForm(Fields):
    """How many prompts are drawn."""

    prompts: int


class PairsForm(Fields):
    """The pair dataset that a study's answers become; agreement in percent."""

    name: str = Field(min_length=1, max_length=NAME_LENGTH)
    min_agreement: float = Field(default=50, ge=0, le=100)

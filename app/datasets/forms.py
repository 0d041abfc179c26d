"""Forms of datasets."""

from pydantic import Field, field_validator

from app.database import LARGEST_KEY
from app.datasets.pairing import NEAREST
from app.datasets.selecting import DEFAULT_SALT, Choice, Rule
from app.web.forms import Fields
from method.whole_numbers import read_whole


class ChoiceForm(Fields):
    """What to freeze and how to split it. A browser sends a box only where it is ticked, so the box is
    for what is not the rule: images that are not finished.
    """

    salt: str = Field(default=DEFAULT_SALT, min_length=1, max_length=80)
    with_unfinished: bool = False
    contradictions: Rule = "keep"
    least_accuracy: float | None = Field(default=None, ge=0, le=100)

    @field_validator("least_accuracy", mode="before")
    @classmethod
    def _none_where_empty(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def choice(self) -> Choice:
        """The options; the accuracy is typed in percent."""
        least = None if self.least_accuracy is None else self.least_accuracy / 100
        return Choice(self.salt, not self.with_unfinished, self.contradictions, least)


class SurveyForm(ChoiceForm):
    """The same while it is being chosen; the name comes along and does not matter yet."""

    name: str = ""


class DatasetForm(ChoiceForm):
    """A dataset to freeze: its name, and what goes in."""

    name: str = Field(min_length=1, max_length=120)


class LabelPairsForm(Fields):
    """Which images of a dataset become pairs."""

    name: str = Field(min_length=1, max_length=120)
    dataset_id: str = ""
    min_difference: int = 1
    max_pairs_per_image: int = 4
    is_nearest: bool = False
    with_unfinished: bool = False

    @property
    def chosen_dataset(self) -> int | None:
        """The dataset's id, None for none; 0, which no dataset has, for what cannot be an id."""
        return read_whole(self.dataset_id, LARGEST_KEY) or 0 if self.dataset_id else None

    @property
    def nearest(self) -> int:
        """Among how many similar prompts a partner is looked for."""
        return NEAREST if self.is_nearest else 0


class ImportPairsForm(Fields):
    """A file of pairs on the server."""

    name: str = Field(min_length=1, max_length=120)
    path: str = Field(min_length=1, max_length=4096)


class GenerateForm(Fields):
    """Images to generate, rank and pair."""

    name: str = Field(min_length=1, max_length=120)
    dataset_id: str = ""
    base_model: str = Field(min_length=1, max_length=4096)
    run_id: str = ""
    images_per_prompt: int
    max_prompts: int
    resolution: int
    steps: int
    guidance: float
    seed: int

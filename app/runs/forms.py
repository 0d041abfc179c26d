"""The launch form. The options' fields come from the schema and are named by their dotted paths."""

from typing import Any

from pydantic import Field, create_model

from app.runs import options
from app.runs.reading import BIGGEST
from app.web.forms import Fields


class Choices(Fields):
    """What every launch states besides its options."""

    kind: str = Field(min_length=1)
    name: str = Field(min_length=1, max_length=120)
    dataset_id: int = Field(ge=1, le=BIGGEST)
    expert_run_id: str = ""
    base_model: str = Field(min_length=1, max_length=4096)
    preset: str = ""


# What is typed into an option's field is read by the schema, not here.
_OPTIONS: dict[str, Any] = {
    f"option_{number}": (str, Field(default="", alias=path))
    for number, path in enumerate(options.options())
}
LaunchForm: type[Choices] = create_model("LaunchForm", __base__=Choices, **_OPTIONS)

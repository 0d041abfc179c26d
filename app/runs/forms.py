"""The launch form, whose options' fields are those of the config and are named by their dotted paths."""

from typing import Any

from pydantic import BaseModel, Field, create_model

from app.runs import options
from app.web.forms import Fields


class Choices(Fields):
    """What every launch states besides its options. Which ids it needs depends on its kind."""

    kind: str = Field(min_length=1)
    name: str = Field(min_length=1, max_length=120)
    dataset_id: str = ""
    pair_dataset_id: str = ""
    expert_run_id: str = ""
    start_run_id: str = ""
    negative_run_id: str = ""
    base_model: str = Field(min_length=1, max_length=4096)
    preset: str = ""


# What is typed into an option's field is read by the option, not here.
_OPTIONS: dict[str, Any] = {
    f"option_{number}": (str, Field(default="", alias=path))
    for number, path in enumerate(options.options())
}
LaunchForm: type[Choices] = create_model("LaunchForm", __base__=Choices, **_OPTIONS)


class LaunchStart(BaseModel):
    """What the address of the launch form says to start from; `dataset`, `pairs` and `expert` are short
    for the ids.
    """

    clone: str = ""
    kind: str = ""
    preset: str = ""
    base_model: str = ""
    name: str = ""
    dataset: str = ""
    pairs: str = ""
    expert: str = ""
    dataset_id: str = ""
    pair_dataset_id: str = ""
    expert_run_id: str = ""
    start_run_id: str = ""
    negative_run_id: str = ""

    def ids(self) -> dict[str, str]:
        return {
            "dataset_id": self.dataset_id or self.dataset,
            "pair_dataset_id": self.pair_dataset_id or self.pairs,
            "expert_run_id": self.expert_run_id or self.expert,
            "start_run_id": self.start_run_id,
            "negative_run_id": self.negative_run_id,
        }

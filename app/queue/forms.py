"""What the page of the queue sends."""

from typing import Literal

from pydantic import Field

from app.web.forms import Fields

Strategy = Literal["id", "random", "least_certain", "contradictory", "agent_wrong"]


class OrderForm(Fields):
    """In which order the queue is handed out."""

    strategy: Strategy


class AssignForm(Fields):
    """Images of a filter for persons."""

    persons: list[int] = Field(default=[])
    show: str = "undone"
    words: str = Field(default="", max_length=200)
    strategy: Strategy = "id"
    num_images: int = 100

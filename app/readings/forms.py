"""What the pages of second readings send."""

from pydantic import Field

from app.web.forms import Fields


class AskForm(Fields):
    """Which images are to be read a second time."""

    show: str = "done"
    words: str = Field(default="", max_length=200)
    percent: float = 10
    seed: int = 0
    decoy_percent: int = 20

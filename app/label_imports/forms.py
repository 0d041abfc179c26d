"""What people answer on the page of a file of labels."""

from typing import Literal

from app.label_imports.matching import LEFT_OUT
from app.label_imports.options import Options
from app.web.forms import Fields

LEAVE_OUT = "leave out"
"""What people type for an attribute whose labels are not to be imported."""


class OptionsForm(Fields):
    """The answers; `words` and `attribute` stand beside each other, an empty answer is none yet."""

    contradictions: Literal["keep", "replace"] = "keep"
    absent: Literal["leave", "reject"] = "leave"
    without_unknown_images: bool = False
    words: list[str] = []
    attribute: list[str] = []

    def options(self) -> Options:
        """As the verbs take them. Raises Invalid for too many answers."""
        answers = {
            words: LEFT_OUT if chosen == LEAVE_OUT else chosen
            for words, chosen in zip(self.words, self.attribute, strict=False)
            if chosen
        }
        return Options(self.contradictions, self.without_unknown_images, answers, self.absent)

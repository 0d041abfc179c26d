"""What whoever imports labels answers to the questions of a file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from app.database import Json
from app.errors import Invalid
from app.label_imports.label_studio import Absent

MOST_ANSWERS = 2_000
LONGEST_ANSWER = 1_000


@dataclass(frozen=True)
class Options:
    """`contradictions` says what becomes of decisions that the file contradicts; `attributes` which attribute
    (`key/polarity`, or nothing: left out) the words of the file mean; `absent` what an annotation of Label
    Studio means for a prediction that it lacks.
    """

    contradictions: Literal["keep", "replace"] = "keep"
    without_unknown_images: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    absent: Absent = "leave"

    def __post_init__(self) -> None:
        longest = max((len(each) for pair in self.attributes.items() for each in pair), default=0)
        if len(self.attributes) > MOST_ANSWERS or longest > LONGEST_ANSWER:
            raise Invalid(
                f"At most {MOST_ANSWERS} attributes can be answered, of at most {LONGEST_ANSWER} characters each.",
                field="attributes",
            )

    @classmethod
    def of(cls, kept: Json) -> "Options":
        return cls(**kept)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

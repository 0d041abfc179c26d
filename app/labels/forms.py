"""What the labelling page's forms send."""

from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from app.web.forms import Fields
from taxonomy.applicability import Kind
from taxonomy.tree import Polarity


class SaveForm(Fields):
    """One action on one attribute."""

    key: str
    polarity: Polarity
    state: Literal["confirmed", "rejected", "unsure", "withdrawn"]
    based_on: int = Field(ge=0)
    operation_id: UUID
    suggestion_visible: bool = True


class UndoForm(Fields):
    """Undo one's last action, or the one named."""

    operation_id: UUID
    event_id: int | None = None


class DoneForm(Fields):
    """Mark the image as done (and go on), or open it again."""

    done: bool
    operation_id: UUID | None = None


class TraitForm(Fields):
    """What is said of a style or content: "yes", "no", or "" to take it back; `seen` likewise.

    The page's buttons name all four at once, as `kind:value:seen:present` in the field `said`.
    """

    kind: Kind
    value: str
    present: Literal["yes", "no", ""] = ""
    seen: Literal["yes", "no", ""] = ""
    operation_id: UUID | None = None
    sitting: UUID | Literal[""] = ""

    @model_validator(mode="before")
    @classmethod
    def take_apart(cls, typed: dict[str, Any]) -> dict[str, Any]:
        """The four fields that a button names."""
        said = str(typed.get("said", ""))
        if said.count(":") < 3:
            return typed
        kind, rest = said.split(":", 1)
        value, seen, present = rest.rsplit(":", 2)
        others = {name: each for name, each in typed.items() if name != "said"}
        return {**others, "kind": kind, "value": value, "seen": seen, "present": present}

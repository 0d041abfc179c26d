"""What participants take part in, as far as this room knows it: whose they are, and what it is called."""

from dataclasses import dataclass
from typing import Literal

Noun = Literal["audit", "study"]


@dataclass(frozen=True, slots=True)
class Instrument:
    """An audit or a study: exactly one of the two is given."""

    audit_id: int | None = None
    study_id: int | None = None

    @property
    def columns(self) -> dict[str, int]:
        """The column by which this room's tables name it, for `filter_by` and for new rows."""
        given = {"audit_id": self.audit_id, "study_id": self.study_id}
        return {name: each for name, each in given.items() if each is not None}

    @property
    def noun(self) -> Noun:
        """What people call it."""
        return "study" if self.audit_id is None else "audit"

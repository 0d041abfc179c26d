"""What participants take part in, as far as this room knows it: whose they are, and what it is called."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Instrument:
    """An audit. A user study becomes a second field, and exactly one of them is given."""

    audit_id: int

    @property
    def columns(self) -> dict[str, int]:
        """The columns by which this room's tables name it, for `filter_by` and for new rows."""
        return {"audit_id": self.audit_id}

    @property
    def noun(self) -> str:
        """What people call it."""
        return "audit"

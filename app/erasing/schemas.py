"""JSON shapes of erasing."""

from datetime import datetime

from pydantic import BaseModel

from app.erasing.erasing import Erased


class ErasedOut(BaseModel):
    """What stays of an erased image, and the numbers of the frozen datasets and pair datasets that hold a
    copy of it.
    """

    id: int
    sha256: str
    erased_at: datetime | None
    reason: str
    labels: int
    datasets: list[int]
    pair_datasets: list[int]

    @classmethod
    def of(cls, erased: Erased) -> "ErasedOut":
        """The trace as JSON."""
        return cls(
            id=erased.image.id,
            sha256=erased.image.sha256,
            erased_at=erased.image.state_at,
            reason=erased.image.state_reason,
            labels=erased.num_labels,
            datasets=[each.number for each in erased.datasets],
            pair_datasets=[each.number for each in erased.pair_datasets],
        )

"""Imports of labels as JSON."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.label_imports.importing import ImportRow
from app.label_imports.options import Options


class OptionsIn(BaseModel):
    """Answers to what a file asks."""

    model_config = ConfigDict(extra="forbid")

    contradictions: Literal["keep", "replace"] = Field(
        "keep", description="What becomes of decisions that the file contradicts."
    )
    without_unknown_images: bool = Field(
        default=False, description="Leave out the labels of images that are not in the project."
    )
    attributes: dict[str, str] = Field(
        {},
        description="Which attribute words of the file mean: `key/positive`, `key/negative`, or an empty"
        " text for what is left out.",
    )
    absent: Literal["leave", "reject"] = Field(
        "leave",
        description="What becomes of what was predicted in Label Studio and is not in the annotation.",
    )

    def options(self) -> Options:
        """As the verbs take them."""
        return Options(**self.model_dump())


class LabelImportOut(BaseModel):
    """A file of labels: what it would change (`found`) and what importing it did (`taken`)."""

    id: int
    name: str
    format: str
    sha256: str
    bytes: int
    options: dict[str, Any]
    state: Literal["working", "failed", "found", "taken"]
    error: str | None
    found: dict[str, Any] | None
    taken: dict[str, Any] | None
    taken_at: datetime | None
    job_id: int | None
    created_by: str
    created_at: datetime

    @classmethod
    def of(cls, found: ImportRow) -> "LabelImportOut":
        row, job = found.row, found.job
        state: Literal["working", "failed", "found", "taken"] = (
            "working"
            if found.is_working
            else "failed"
            if job is not None and job.state != "succeeded"
            else "taken"
            if row.taken is not None
            else "found"
        )
        return cls(
            id=row.id,
            name=row.name,
            format=row.format,
            sha256=row.sha256,
            bytes=row.bytes,
            options=row.options,
            state=state,
            error=job.error if job is not None and state == "failed" else None,
            found=row.found,
            taken=row.taken,
            taken_at=row.taken_at,
            job_id=row.job_id,
            created_by=found.by,
            created_at=row.created_at,
        )


class LabelImportPage(BaseModel):
    items: list[LabelImportOut]
    next: int | None

"""JSON shapes of datasets."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.datasets.freezing import DEFAULT_SALT


class DatasetIn(BaseModel):
    """What to freeze and how to split it."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    salt: str = Field(default=DEFAULT_SALT, min_length=1, max_length=80)
    only_done: bool = False


class DatasetOut(BaseModel):
    """A dataset. It is ready where it has a hash."""

    id: int
    number: int
    name: str
    job_id: int | None
    state: str
    criteria_version: int
    criteria_sha256: str
    options: dict[str, Any]
    counts: dict[str, Any]
    bytes: int
    folder: str | None
    sha256: str | None
    created_at: datetime


class DatasetsOut(BaseModel):
    """A page of datasets; `next` continues it as `before`."""

    items: list[DatasetOut]
    next: int | None

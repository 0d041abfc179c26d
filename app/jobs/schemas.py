"""JSON shapes of jobs."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict


class JobOut(BaseModel):
    """One long piece of work."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    kind: str
    queue: str
    state: str
    attempt: int
    failures: int
    progress: dict[str, Any]
    result: dict[str, Any] | None
    error_class: str | None
    error: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobsOut(BaseModel):
    """A page of jobs; `next` continues it as `before`."""

    items: list[JobOut]
    next: int | None

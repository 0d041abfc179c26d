"""JSON shapes of runs."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.runs import base_models
from app.runs.reading import BIGGEST


class RunIn(BaseModel):
    """A run to launch. `options` are config fields by dotted path, such as `optimization.epochs`."""

    model_config = ConfigDict(extra="forbid")

    kind: str
    name: str = Field(min_length=1, max_length=120)
    dataset_id: int = Field(ge=1, le=BIGGEST)
    base_model: str = Field(min_length=1, max_length=4096)
    expert_run_id: int | None = Field(default=None, ge=1, le=BIGGEST)
    preset: str | None = None
    options: dict[str, Any] = {}


class RunOut(BaseModel):
    """A run. `last` is what it logged last; `attempt` grows with every start of its job."""

    id: int
    number: int
    name: str
    kind: str
    state: str
    attempt: int
    job_id: int
    dataset_id: int
    expert_run_id: int | None
    progress: dict[str, Any]
    error: str | None
    last: dict[str, Any]
    config: dict[str, Any]
    result: dict[str, Any] | None
    folder: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class RunsOut(BaseModel):
    """A page of runs; `next` continues it as `before`."""

    items: list[RunOut]
    next: int | None


class MetricsOut(BaseModel):
    """Logged steps, oldest first. With `restart` they begin at the first step again, because a resumed
    run has taken back what the caller has seen.
    """

    items: list[dict[str, Any]]
    thinned: bool
    restart: bool


class SampleOut(BaseModel):
    """One sample image; its bytes are under `samples/<file>`."""

    file: str
    step: int
    index: int
    model: str
    prompt: str
    seed: int
    address: str


class SamplesOut(BaseModel):
    """The samples of a run."""

    items: list[SampleOut]


class CheckpointOut(BaseModel):
    """A complete checkpoint."""

    model_config = ConfigDict(from_attributes=True)

    step: int
    bytes: int
    at: datetime


class CheckpointsOut(BaseModel):
    """The checkpoints of a run, newest first."""

    items: list[CheckpointOut]


class LogOut(BaseModel):
    """The end of a run's log."""

    text: str


class BaseModelIn(BaseModel):
    """A tiny base model to make."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(default=base_models.TINY, min_length=1, max_length=64)
    seed: int = 0


class BaseModelOut(BaseModel):
    """A base model."""

    name: str
    folder: str


class BaseModelsOut(BaseModel):
    """The base models of this installation; `making` is the job that makes another one."""

    items: list[BaseModelOut]
    making: int | None = None

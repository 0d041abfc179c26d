"""JSON shapes of runs."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.database import LARGEST_KEY
from app.runs import base_models

Id = Annotated[int | None, Field(ge=1, le=LARGEST_KEY)]


class EstimateIn(BaseModel):
    """A run that could be launched. `options` are config fields by dotted path, such as
    `optimization.epochs`. dpo and npo learn from a pair dataset, all other kinds from a dataset.
    """

    model_config = ConfigDict(extra="forbid")

    kind: str
    base_model: str = Field(min_length=1, max_length=4096)
    dataset_id: Id = None
    pair_dataset_id: Id = None
    preset: str | None = None
    options: dict[str, Any] = {}


class RunIn(EstimateIn):
    """A run to launch. cpo and cpo_s need an expert; `start_run_id` goes with `theta.init` path; the npo
    run `negative_run_id` takes the place of the unconditional prediction in samples.
    """

    name: str = Field(min_length=1, max_length=120)
    expert_run_id: Id = None
    start_run_id: Id = None
    negative_run_id: Id = None


class MemoryOut(BaseModel):
    """Estimated bytes on each GPU: what is needed at once, and of what it consists."""

    model_config = ConfigDict(from_attributes=True)

    total: float
    weights: float
    trained: float
    activations: float
    encoders: float
    reserve: float


class EstimateOut(BaseModel):
    """What a run would take. `seconds` are by the speed of run `like`; where there is none, by `tflop`
    (10^12 operations for an example) and `assumed_tflops` (of them a second).
    """

    unit: str
    examples: int
    skipped: int
    steps: int
    seconds: float
    like: int | None
    tflop: float
    assumed_tflops: float
    memory: MemoryOut
    weights_counted: bool
    warnings: list[str]


class RunOut(BaseModel):
    """A run. `last` is what it logged last; `attempt` grows with every start of its job."""

    id: int
    number: int
    name: str
    kind: str
    state: str
    attempt: int
    job_id: int
    dataset_id: int | None
    pair_dataset_id: int | None
    expert_run_id: int | None
    start_run_id: int | None
    negative_run_id: int | None
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
    """Logged steps, oldest first; `next` continues them as `after`."""

    items: list[dict[str, Any]]
    next: int | None


class BucketsOut(BaseModel):
    """Values logged together: for each bucket of steps its first and last step, and by name the mean,
    the lowest and the highest value. Without `low` and `high` every bucket is one step.
    """

    model_config = ConfigDict(from_attributes=True)

    first: list[int]
    last: list[int]
    mean: dict[str, list[float | None]]
    low: dict[str, list[float | None]]
    high: dict[str, list[float | None]]


class CurvesOut(BaseModel):
    """Curves of a run. `step` and `time` are those of the newest step: given back as `after` and `seen`
    they continue the curves. With `restart` the curves begin at the first step again, because a resumed
    run has taken back what the caller has seen.
    """

    groups: list[BucketsOut]
    step: int | None
    time: float | None
    thinned: bool
    restart: bool


class IntervalOut(BaseModel):
    """A mean over logged steps and half of its 95 % interval."""

    model_config = ConfigDict(from_attributes=True)

    mean: float
    half_width: float


class GeometryOut(BaseModel):
    """Shares of the gap between the two targets: how much theta has gone, where the winning part is lowest,
    and where that would be if attributes added up (null for targets without guidance).
    """

    model_config = ConfigDict(from_attributes=True)

    gone: float
    lowest: float
    expected: float | None


class WinningOut(BaseModel):
    """What the winning part of a stage 2 run says. `win` is the sum of `alignment` and `drift`."""

    model_config = ConfigDict(from_attributes=True)

    kind: Literal["healthy", "misdirected", "overshooting", "frozen", "unguided", "uncertain"]
    title: str
    what: str
    advice: str
    rows: int
    win: IntervalOut
    alignment: IntervalOut
    drift: IntervalOut
    geometry: GeometryOut | None


class ExpertOut(BaseModel):
    """What an expert knows of attributes: mean squared errors on held-out images by what they are predicted
    from, and the attribute gain, err(content) - err(all), with half of its 95 % interval.
    """

    model_config = ConfigDict(from_attributes=True)

    images: int
    errors: dict[str, float]
    gain: float
    half_width: float
    has_gain: bool


class VerdictOut(BaseModel):
    """Whether a run works. null: it has no winning part or too few steps, or its expert was not examined."""

    model_config = ConfigDict(from_attributes=True)

    winning: WinningOut | None
    expert: ExpertOut | None


class DifferenceOut(BaseModel):
    """An option of which two runs have different values; null also where a run does not have it."""

    model_config = ConfigDict(from_attributes=True)

    path: str
    this: Any
    other: Any


class DifferencesOut(BaseModel):
    """In what two runs differ."""

    items: list[DifferenceOut]


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

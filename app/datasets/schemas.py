"""JSON shapes of datasets."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.database import LARGEST_KEY
from app.datasets import pairing
from app.datasets.models import PairDataset
from app.datasets.selecting import DEFAULT_SALT, Choice, Rule
from app.jobs.models import Job


class ChoiceIn(BaseModel):
    """What to freeze and how to split it.

    `only_done` takes finished images: those marked as done, or, in a project where nobody has marked one
    yet, those without an undecided label. `contradictions` says what becomes of labels that cannot all
    hold: `keep`, `leave_out_labels` or `leave_out_images`; they are counted in any case. `least_accuracy`, in
    [0, 1], leaves out the attributes whose accuracy in closed audits is under it.
    """

    salt: str = Field(default=DEFAULT_SALT, min_length=1, max_length=80)
    only_done: bool = True
    contradictions: Rule = "keep"
    least_accuracy: float | None = Field(default=None, ge=0, le=1)

    @property
    def choice(self) -> Choice:
        """The options of the dataset."""
        return Choice(self.salt, self.only_done, self.contradictions, self.least_accuracy)


class DatasetIn(ChoiceIn):
    """A dataset to freeze: its name, and what goes in."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120)


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
    erased_images: list[int] = Field(
        description="Images that this dataset holds and that were erased from the project since."
    )
    created_at: datetime


class SurveyedOut(BaseModel):
    """One image that would be frozen, with how far it is and what is odd about it."""

    image_id: int
    name: str
    split: str
    positive: int
    negative: int
    undecided: int | None = Field(description="Null for who has hidden suggestions.")
    is_finished: bool
    contradictions: list[str]


class SurveyOut(BaseModel):
    """What freezing now would give. `counts` are those that the dataset would have; `next` goes on as
    `after`. Of more than 25,000 images a random sample is looked at, `sampled` of `of`: then `items` are of
    the sample, and `counts` estimates of the whole.
    """

    counts: dict[str, Any]
    items: list[SurveyedOut]
    next: int | None
    sampled: int | None
    of: int | None


class DatasetsOut(BaseModel):
    """A page of datasets; `next` continues it as `before`."""

    items: list[DatasetOut]
    next: int | None


class LabelPairsIn(BaseModel):
    """A dataset whose images are to be paired by their labels; `nearest` 0 leaves it at equal prompts."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    dataset_id: int
    min_difference: int = 1
    nearest: int = pairing.NEAREST
    max_pairs_per_image: int = 4
    with_unfinished: bool = False


class ImportPairsIn(BaseModel):
    """A Parquet file, or a folder of them, in Pick-a-Pic's layout on the server."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    path: str = Field(min_length=1, max_length=4096)


class PairDatasetOut(BaseModel):
    """A pair dataset. It is ready where it has a hash."""

    id: int
    number: int
    name: str
    source: str
    dataset_id: int | None
    job_id: int | None
    state: str
    options: dict[str, Any]
    counts: dict[str, Any]
    bytes: int
    folder: str | None
    sha256: str | None
    erased_images: list[int] = Field(
        description="Images that this pair dataset holds and that were erased from the project since."
    )
    created_at: datetime

    @classmethod
    def of(cls, pairs: PairDataset, job: Job | None, erased: list[int]) -> "PairDatasetOut":
        """A row as JSON."""
        return cls(
            id=pairs.id,
            number=pairs.number,
            name=pairs.name,
            source=pairs.source,
            dataset_id=pairs.dataset_id,
            job_id=pairs.job_id,
            state="ready" if pairs.manifest_sha256 else job.state if job else "failed",
            options=pairs.options,
            counts=pairs.counts,
            bytes=pairs.bytes,
            folder=str(pairing.folder_of(pairs)) if pairs.folder else None,
            sha256=pairs.manifest_sha256,
            erased_images=erased,
            created_at=pairs.created_at,
        )


class PairDatasetsOut(BaseModel):
    """A page of pair datasets; `next` continues it as `before`."""

    items: list[PairDatasetOut]
    next: int | None


class PairImageOut(BaseModel):
    """One side of a pair; `file` names its picture."""

    model_config = ConfigDict(from_attributes=True)

    image_id: str
    file: str


class PairOut(BaseModel):
    """Two pictures for a prompt and why the winner is preferred.

    `other_prompt` is the loser's where that is another one, `similarity` (0 to 1) how near the two are.
    """

    model_config = ConfigDict(from_attributes=True)

    pair_id: str
    prompt: str
    winner: PairImageOut
    loser: PairImageOut
    reason: str
    other_prompt: str | None
    similarity: float | None


class PairPageOut(BaseModel):
    """A page of pairs; `next` continues it as `after`."""

    items: list[PairOut]
    next: int | None


class GeneratedPairsIn(BaseModel):
    """Images to generate for a dataset's prompts, by a base model or a finished run on it, to be ranked
    by the measured agent and paired.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=120)
    dataset_id: int = Field(ge=1, le=LARGEST_KEY)
    base_model: str = Field(min_length=1, max_length=4096)
    run_id: int | None = Field(default=None, ge=1, le=LARGEST_KEY)
    images_per_prompt: int = 4
    max_prompts: int = 100
    resolution: int = 1024
    steps: int = 30
    guidance: float = 5.0
    seed: int = 0

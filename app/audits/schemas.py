"""JSON shapes of audits."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.audits.sampling import MOST_SEED
from app.participants.schemas import PeopleOut, SeatState

Answer = Literal["appears", "does_not_appear", "cannot_tell"]


# What of a new audit is its design, beside the seed.
DESIGNED = {
    *("sample_size", "min_labels", "decoy_percent", "check_percent", "probe_percent"),
    *("strata", "judges", "images_each", "agent_run"),
}


class AuditIn(BaseModel):
    """A new audit. Without `seed` one is drawn; without `notice` the default one is shown.

    `decoy_percent` of the questions ask for attributes that the agent did not give; `check_percent` of the images have
    an attention check, `probe_percent` ask what is missing. `strata` gives each root dimension, polarity or agent run
    its share of the images. With `judges` so many participants judge each image, and each participant `images_each`.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    sample_size: int
    min_labels: int = 1
    decoy_percent: int = 0
    check_percent: int = 0
    probe_percent: int = 0
    strata: Literal["none", "root", "polarity", "run"] = "none"
    judges: int | None = None
    images_each: int | None = None
    agent_run: int | None = None
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] | None = None
    notice: str | None = None


class AuditOut(BaseModel):
    """An audit: how its sample was drawn, and how far it is."""

    id: int
    name: str
    state: Literal["open", "closed"]
    seed: int
    images: int
    items: int
    decoys: int
    min_labels: int
    decoy_percent: int
    check_percent: int
    probe_percent: int
    strata: Literal["none", "root", "polarity", "run"]
    judges: int | None
    images_each: int | None
    population: int | None
    is_simulated: bool
    agent_run: int | None
    criteria_version: int
    notice: str
    notice_number: int
    participants: PeopleOut
    created_at: datetime
    closed_at: datetime | None


class AuditListItem(BaseModel):
    """An audit in a list."""

    id: int
    name: str
    state: Literal["open", "closed"]
    images: int
    items: int
    agent_run: int | None
    criteria_version: int
    participants: PeopleOut
    accuracy: float | None
    created_at: datetime


class AuditsOut(BaseModel):
    """A page of audits, newest first; `next` continues it as `before`."""

    items: list[AuditListItem]
    next: int | None


class PopulationOut(BaseModel):
    """How many images a sample could be drawn from; `is_about` where there are too many to look at each."""

    images: int
    is_about: bool = False


class AgreementOut(BaseModel):
    """A coefficient of agreement beyond chance, with its 95 % interval over images."""

    value: float | None
    interval_95: tuple[float, float] | None


class ScoreOut(BaseModel):
    """One row of the results; fractions are in [0, 1]. `above` names the dimensions that a node stands in."""

    level: Literal["overall", "polarity", "dimension", "sub_dimension", "attribute"]
    key: str
    polarity: Literal["positive", "negative"] | None
    name: str
    above: list[str]
    sampled_items: int
    items: int
    images: int
    participants: int
    judgements: int
    appears: int
    does_not_appear: int
    cannot_tell: int
    cannot_tell_share: float | None
    accuracy: float | None
    interval_95: tuple[float, float] | None
    majority_accuracy: float | None
    majority_interval_95: tuple[float, float] | None
    majority_items: int
    ties: int
    participant_mean: float | None
    participant_range: tuple[float, float] | None
    agreement: float | None
    krippendorff_alpha: AgreementOut
    fleiss_kappa: AgreementOut
    gwet_ac1: AgreementOut
    decoys_decided: int
    decoys_appear: int
    yes_to_decoys: float | None
    yes_to_decoys_interval_95: tuple[float, float] | None
    corrected_accuracy: float | None
    corrected_interval_95: tuple[float, float] | None
    median_seconds: float | None


class MissedOut(BaseModel):
    """How much of what participants see the agent missed, overall and by root dimension."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    name: str
    missing: int
    confirmed: int
    share: float | None
    interval: tuple[float, float] | None


class ResultsOut(BaseModel):
    """Accuracy overall, by polarity, root dimension, sub-dimension and attribute, as it stands now, in tree order."""

    participants: PeopleOut
    dimensions: list[ScoreOut]
    polarities: list[ScoreOut]
    overall: ScoreOut
    sub_dimensions: list[ScoreOut]
    attributes: list[ScoreOut]
    missed: list[MissedOut]


class ProgressOut(BaseModel):
    """How far a participant is."""

    model_config = ConfigDict(from_attributes=True)

    answered: int
    items: int
    images: int


class SeatOut(BaseModel):
    """What a participant's link leads to."""

    audit: str
    number: int
    state: SeatState
    notice: str
    notice_number: int
    progress: ProgressOut
    next_image: int | None


class ItemOut(BaseModel):
    """One question: does the attribute appear in the image? `image` is the path of its bytes,
    `image_position` the image's place in the participant's own order.
    """

    id: int
    image_position: int
    image: str
    dimension: str
    name: str
    definition: str
    answer: Answer | None
    revision: int


class ItemsOut(BaseModel):
    """A page of questions in their order; `next` continues it as `after`."""

    items: list[ItemOut]
    next: int | None


class JudgementOut(BaseModel):
    """An answer as it stands, and the participant's progress."""

    model_config = ConfigDict(from_attributes=True)

    item_id: int
    answer: Answer
    revision: int
    progress: ProgressOut


class PractisedOut(BaseModel):
    """An answer in practice, and what the project's people say; nothing of it is kept."""

    model_config = ConfigDict(from_attributes=True)

    item_id: int
    answer: Answer
    expected: Answer
    agrees: bool

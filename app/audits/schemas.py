"""JSON shapes of audits."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.audits.sampling import MOST_SEED

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


class PeopleOut(BaseModel):
    """How many participants are in which state."""

    model_config = ConfigDict(from_attributes=True)

    invited: int
    judging: int
    finished: int
    withdrawn: int
    revoked: int


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


class ParticipantOut(BaseModel):
    """A participant: a number and how far they are. `link` only in the answer that made it."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    state: Literal["invited", "judging", "finished", "withdrawn", "revoked"]
    answered: int
    asked: int
    checks: int
    checks_passed: int
    consented_at: datetime | None
    finished_at: datetime | None
    last_answer_at: datetime | None


class ParticipantsOut(BaseModel):
    """A page of participants; `next` continues it as `after`."""

    items: list[ParticipantOut]
    next: int | None


class InviteIn(BaseModel):
    """How many participants to invite."""

    model_config = ConfigDict(extra="forbid")

    count: int


class NoticeIn(BaseModel):
    """Another text of the notice; `based_on` is the number of the one it was written from."""

    model_config = ConfigDict(extra="forbid")

    notice: str
    based_on: int | None = None


class ConsentIn(BaseModel):
    """The number of the notice that was read."""

    model_config = ConfigDict(extra="forbid")

    notice: int | None = None


class LinkOut(BaseModel):
    """A participant's number and link; the link is in this answer and nowhere else."""

    number: int
    link: str


class LinksOut(BaseModel):
    """New participants."""

    items: list[LinkOut]


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
    state: Literal["invited", "judging", "finished", "withdrawn", "revoked", "closed"]
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


class JudgementIn(BaseModel):
    """An answer; `based_on` is the revision it was given on (0: there was none)."""

    model_config = ConfigDict(extra="forbid")

    answer: str
    based_on: int | None = None


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

"""JSON shapes of studies."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from app.participants.schemas import PeopleOut, SeatState
from app.studies.founding import MOST_SEED

State = Literal["draft", "open", "closed"]
Answer = Literal["left", "tie", "right"]


class StudyIn(BaseModel):
    """A new study. Without `seed` one is drawn; without `notice` the default one is shown.

    `identical_percent` of the pairs are shown as the same image twice (with ties only), `repeated_percent` once more
    with the sides changed. With `judges` so many participants judge each pair, and each participant the pairs of
    `prompts_each` prompts.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    prompts: int = 150
    has_ties: bool = True
    identical_percent: int = 0
    repeated_percent: int = 0
    judges: int | None = None
    prompts_each: int | None = None
    seed: Annotated[int, Field(ge=0, le=MOST_SEED)] | None = None
    notice: str | None = None


class StudyModelOut(BaseModel):
    """A model whose images are compared with those of the others in its group."""

    model_config = ConfigDict(from_attributes=True)

    group: str
    name: str
    origin: str
    images: int


class StudyDimensionOut(BaseModel):
    """A root dimension that is asked about."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    name: str
    definition: str


class StudyOut(BaseModel):
    """A study: what it asks, of what, and how far it is. `common_prompts` have an image of every model; `problem` says what
    keeps a draft from being opened.
    """

    id: int
    name: str
    state: State
    seed: int
    prompts: int
    has_ties: bool
    identical_percent: int
    repeated_percent: int
    judges: int | None
    prompts_each: int | None
    criteria_version: int
    dimensions: list[StudyDimensionOut]
    models: list[StudyModelOut]
    common_prompts: int
    problem: str | None
    pairs: int
    identical: int
    repeated: int
    practice: int
    notice: str
    notice_number: int
    participants: PeopleOut
    created_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None


class StudyListItem(BaseModel):
    """A study in a list."""

    id: int
    name: str
    state: State
    groups: int
    models: int
    pairs: int
    participants: PeopleOut
    created_at: datetime


class StudiesOut(BaseModel):
    """A page of studies, newest first; `next` continues it as `before`."""

    items: list[StudyListItem]
    next: int | None


class EvaluatedOut(BaseModel):
    """A model whose images an evaluation left behind; `key` chooses it."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    name: str
    origin: str
    prompts: int


class EvaluatedModelsOut(BaseModel):
    """Everything that can be chosen."""

    items: list[EvaluatedOut]


class StudyGroupIn(BaseModel):
    """Models by their keys, as one group."""

    model_config = ConfigDict(extra="forbid")

    group: str
    models: list[str]


class StudyJobOut(BaseModel):
    """The job that takes images in."""

    job_id: int


class StudyOpenIn(BaseModel):
    """How many prompts are drawn."""

    model_config = ConfigDict(extra="forbid")

    prompts: int


class StudyPairsIn(BaseModel):
    """A pair dataset of the answers; `min_agreement` is the least share of participants who prefer the winner."""

    model_config = ConfigDict(extra="forbid")

    name: str
    min_agreement: float = 0.5


class StudyPairsOut(BaseModel):
    """The pair dataset that was asked for, and the job that builds it."""

    id: int
    job_id: int | None


class StudyCoefficientOut(BaseModel):
    """A coefficient of agreement beyond chance, with its 95 % interval over pairs."""

    value: float | None
    interval_95: tuple[float, float] | None


class PreferenceOut(BaseModel):
    """How often `model` was preferred to `other` in a dimension (or `overall`); fractions are in [0, 1]. A tie is half a preference."""

    key: str
    name: str
    answers: int
    preferred: int
    not_preferred: int
    ties: int
    pairs: int
    participants: int
    share: float | None
    interval_95: tuple[float, float] | None
    pairs_preferred: int
    pairs_not_preferred: int
    p_pairs: float | None
    holm_pairs: float | None
    p_people: float | None
    holm_people: float | None
    gwet_ac1: StudyCoefficientOut
    krippendorff_alpha: StudyCoefficientOut


class StudyComparisonOut(BaseModel):
    """Two models of a group."""

    group: str
    model: str
    other: str
    dimensions: list[PreferenceOut]
    overall: PreferenceOut


class RankOut(BaseModel):
    """A model's place; `strength` in log odds by the Bradley-Terry model, None where answers know no limit to it."""

    model_config = ConfigDict(from_attributes=True)

    name: str
    rank: int
    strength: float | None
    interval: tuple[float, float] | None
    share: float


class RankingOut(BaseModel):
    """The models of a group of three or more, from the best, in a dimension or overall."""

    model_config = ConfigDict(from_attributes=True)

    group: str
    key: str
    name: str
    rows: list[RankOut]


class ConsistencyOut(BaseModel):
    """How one participant answered; `code` is random and leads to no number."""

    model_config = ConfigDict(from_attributes=True)

    code: str
    answers: int
    ties: float | None
    same_again: float | None
    repeated: int
    ties_of_identical: float | None
    identical: int
    like_others: float | None
    left: float | None
    seconds: float | None


class SidesOut(BaseModel):
    """Of the decided answers, the share for the image on the left."""

    model_config = ConfigDict(from_attributes=True)

    decided: int
    share: float | None
    interval: tuple[float, float] | None


class StudyResultsOut(BaseModel):
    """What the answers say, as it stands now."""

    participants: PeopleOut
    answers: int
    comparisons: list[StudyComparisonOut]
    rankings: list[RankingOut]
    consistency: list[ConsistencyOut]
    sides: SidesOut


class StudyProgressOut(BaseModel):
    """How far a participant is; `pairs` is the number of places."""

    answered: int
    items: int
    pairs: int


class StudySeatOut(BaseModel):
    """What a participant's link leads to."""

    study: str
    number: int
    state: SeatState
    notice: str
    notice_number: int
    answers: list[Answer]
    progress: StudyProgressOut
    next_place: int | None


class StudyQuestionOut(BaseModel):
    """In a dimension: which image is better."""

    model_config = ConfigDict(from_attributes=True)

    key: str
    name: str
    definition: str
    answer: Answer | None
    revision: int


class PairToJudgeOut(BaseModel):
    """Two images of one prompt with the questions; `left` and `right` are the paths of their bytes."""

    place: int
    prompt: str
    left: str
    right: str
    questions: list[StudyQuestionOut]


class PairsToJudgeOut(BaseModel):
    """A page of pairs in the participant's order; `next` continues it as `after`."""

    items: list[PairToJudgeOut]
    next: int | None


class ChosenOut(BaseModel):
    """An answer as it stands, and the participant's progress."""

    place: int
    key: str
    answer: Answer
    revision: int
    progress: StudyProgressOut


class PracticePairOut(BaseModel):
    """A pair to practise on; the answers are what participants are told."""

    place: int
    prompt: str
    questions: list[StudyQuestionOut]


class StudyPracticeOut(BaseModel):
    """What participants practise on; `may_change` until the first one agrees."""

    may_change: bool
    items: list[PracticePairOut]


class PracticeAnswerIn(BaseModel):
    """What participants are told of a practice pair in a dimension; null takes it back."""

    model_config = ConfigDict(extra="forbid")

    answer: str | None


class StudyPractisedOut(BaseModel):
    """An answer in practice, and what the project's people say; nothing of it is kept."""

    key: str
    answer: Answer
    expected: Answer | None
    agrees: bool

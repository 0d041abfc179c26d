"""Shapes of what was learned: as it is kept, as JSON, and as pages show it."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

Polarity = Literal["positive", "negative"]


class BinOut(BaseModel):
    """Answers about statements that were made with a confidence in one range: how many, the mean confidence, the share
    that holds with its 95 % interval (null where all answers are the same).
    """

    model_config = ConfigDict(from_attributes=True)

    answers: int
    said: float
    holds: float
    interval: tuple[float, float] | None


class CurveOut(BaseModel):
    """How far confidence means what it says. `error` is the expected calibration error, `by_chance` what it would be
    with so many answers if confidence meant exactly what it says; null without answers.
    """

    model_config = ConfigDict(from_attributes=True)

    bins: list[BinOut]
    answers: int
    error: float | None
    by_chance: float | None


class MemberOut(BaseModel):
    """A run that was learned about: how many answers are about what it says, how often that is expected to hold over all
    that it says, and the curve of its own confidence.
    """

    run: int
    agent: str
    agent_version: str
    answers: int
    trust: float | None
    own: CurveOut


class PatternOut(BaseModel):
    """What the runs say together: a sign for each, + says so, - looked and does not, x cannot tell. `share` is the part
    of all statements, `trust` how often those are expected to hold.
    """

    said: str
    answers: int
    share: float
    trust: float | None


class SideTrustOut(BaseModel):
    """How often what one run says of one attribute is expected to hold, with a 95 % interval, and on how many answers
    about that attribute this rests; with few it is drawn to its dimension.
    """

    run: int
    key: str
    polarity: Polarity
    name: str
    root: str
    answers: int
    trust: float
    interval: tuple[float, float]


class ReportOut(BaseModel):
    """What was learned, and from what.

    `sources` counts answers by where they were given; `unused_corrections` those of people who decided only some of
    what agents say, which would flatter agents. `yes_rate` is how readily people say yes to what is not there and
    `miss_rate` how often they say no to what is, null where the answers do not tell (it is taken to be never);
    `decoys_there` the share of decoys that is there after all, null where too few were judged by several.
    `if_readier` and `if_overlooked` are what a confidence of 50 % would be if people said yes to a tenth of what is not
    there, or overlooked a tenth of what is; null where it is known how much they do.
    `is_enough` is false where too few labels were judged to learn from. `curve` tells how far the learned confidence
    means what it says, each answer foreseen without its own image.
    """

    sources: dict[str, int]
    unused_corrections: int
    labels: int
    people: int
    is_enough: bool
    least_labels: int
    decoys: int
    yes_rate: float | None
    miss_rate: float | None
    # Reports that were kept before these were told have none.
    decoys_there: float | None = None
    if_readier: float | None = None
    if_overlooked: float | None = None
    curve: CurveOut
    members: list[MemberOut]
    patterns: list[PatternOut]
    sides: list[SideTrustOut]


class TrustOut(BaseModel):
    """How far agents are to be trusted, as it was learned last; `report` is null where nothing was learned yet."""

    made_at: datetime | None
    agent_run: int | None
    report: ReportOut | None


class LearningOut(BaseModel):
    """The job that learns anew."""

    job_id: int


class DifferenceOut(BaseModel):
    """An attribute on which the runs of an ensemble differ: `says` and `does_not` are runs, `probability` how likely it
    holds (null: too few blind answers), `is_proposed` what the ensemble made of it.
    """

    image_id: int
    image: str
    key: str
    polarity: Polarity
    says: list[int]
    does_not: list[int]
    probability: float | None
    is_proposed: bool


class DifferencesOut(BaseModel):
    """A page of differences by image; `next` continues it as `after`."""

    items: list[DifferenceOut]
    next: str | None


class AgreementOut(BaseModel):
    """Of one attribute: on how many images the runs agreed that it applies, differed, or one alone could tell, and how
    many of each were proposed.
    """

    key: str
    polarity: Polarity
    agreed: int
    agreed_proposed: int
    differed: int
    differed_proposed: int
    alone: int
    alone_proposed: int


class AgreementsOut(BaseModel):
    """Where the runs of an ensemble agree and differ, by attribute."""

    runs: list[int]
    at_least: float | None
    items: list[AgreementOut]

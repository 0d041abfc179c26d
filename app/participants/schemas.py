"""JSON shapes about participants."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

SeatState = Literal["invited", "judging", "finished", "withdrawn", "revoked", "closed"]


class PeopleOut(BaseModel):
    """How many participants are in which state."""

    model_config = ConfigDict(from_attributes=True)

    invited: int
    judging: int
    finished: int
    withdrawn: int
    revoked: int


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


class JudgementIn(BaseModel):
    """An answer; `based_on` is the revision it was given on (0: there was none)."""

    model_config = ConfigDict(extra="forbid")

    answer: str
    based_on: int | None = None

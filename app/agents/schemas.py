"""JSON shapes of agent runs."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class AgentRunIn(BaseModel):
    """Which agent is to label the images."""

    model_config = ConfigDict(extra="forbid")

    agent: str = "measured"


class AgentRunOut(BaseModel):
    """One pass of an agent over the images."""

    id: int
    job_id: int | None
    state: str
    agent: str
    agent_version: str
    criteria_version: int
    images: int
    labels: int
    problems: int
    created_at: datetime


class AgentRunsOut(BaseModel):
    """A page of agent runs; `next` continues it as `before`."""

    items: list[AgentRunOut]
    next: int | None


class OutcomeOut(BaseModel):
    """What became of the proposals of one attribute."""

    key: str
    polarity: Literal["positive", "negative"]
    proposed: int
    confirmed: int
    rejected: int


class OutcomesOut(BaseModel):
    """What became of a run's proposals, by attribute."""

    items: list[OutcomeOut]

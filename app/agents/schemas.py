"""JSON shapes of agent runs."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from taxonomy.asking_again import Why


class AgentRunIn(BaseModel):
    """Which agent is to label the images (null: the project's own), and what that may take: tokens, and cost by the operator's prices. What a
    `quiet` run says is kept for ensembles and proposed to nobody. An `ensemble` is made of `runs` (of none: of the newest
    run of each agent); `at_least` is the share of what it proposes that is to be right, in [0, 1].
    """

    model_config = ConfigDict(extra="forbid")

    agent: str | None = None
    budget_tokens: int | None = None
    budget_cost: float | None = None
    quiet: bool = False
    runs: list[int] = Field(default=[], max_length=20)
    at_least: float | None = None


class BudgetIn(BaseModel):
    """What a run may take in all; null is no limit."""

    model_config = ConfigDict(extra="forbid")

    budget_tokens: int | None = None
    budget_cost: float | None = None


class DefaultAgent(BaseModel):
    """The agent that labels where nobody names one."""

    model_config = ConfigDict(extra="forbid")

    agent: str


class LaterVersionOut(BaseModel):
    """A criteria version that came into force while a run was under way, from which image on."""

    model_config = ConfigDict(from_attributes=True)

    number: int
    first_image: int


class RestrictedOut(BaseModel):
    """A run that labels again what changed: it goes on from `run`, which knew criteria version `since`, and asks
    about so many pairs.
    """

    run: int
    since: int
    pairs: int


class AgentRunOut(BaseModel):
    """One pass of an agent over the images. It begins under `criteria_version`, and goes on under those
    that are published meanwhile. `restricted` is null where it asks about all, `runs` where it is no ensemble. `problems` counts images that
    got no labels, `dropped` statements of the agent that made no sense, `repaired` answers that it was asked to
    mend; `requests` (refused ones included), tokens and `cost` are what it took. `expected_tokens` and
    `expected_cost` are what it will have taken in all; null where it is done, or nothing can be said yet.
    """

    id: int
    job_id: int | None
    state: str
    agent: str
    agent_version: str
    criteria_version: int
    later_versions: list[LaterVersionOut]
    restricted: RestrictedOut | None
    quiet: bool
    runs: list[int] | None
    at_least: float | None
    images: int
    labels: int
    problems: int
    dropped: int
    repaired: int
    requests: int
    tokens_in: int
    tokens_out: int
    cost: float
    expected_tokens: int | None
    expected_cost: float | None
    prompt_hash: str | None
    seed: int | None
    budget_tokens: int | None
    budget_cost: float | None
    created_at: datetime


class AgentRunsOut(BaseModel):
    """A page of agent runs; `next` continues it as `before`."""

    items: list[AgentRunOut]
    next: int | None


class RunImageOut(BaseModel):
    """What a run did with one image, and what that took. `reason` says why it got no labels; `notes` is what
    the agent wrote down on the way: the style and content it saw, the dimensions it chose and why.
    """

    model_config = ConfigDict(from_attributes=True)

    image_id: int
    state: Literal["labelled", "failed", "skipped"]
    reason: str | None
    attempts: int
    proposed: int
    dropped: int
    repaired: int
    requests: int
    tokens_in: int
    tokens_out: int
    cost: float
    notes: dict[str, Any] | None
    image_sha256: str | None
    seconds: float | None
    at: datetime


class RunImagesOut(BaseModel):
    """A page of images; `next` continues it as `after`."""

    items: list[RunImageOut]
    next: int | None


class OutcomeOut(BaseModel):
    """What became of the proposals of one attribute."""

    key: str
    polarity: Literal["positive", "negative"]
    proposed: int
    confirmed: int
    rejected: int
    unsure: int


class OutcomesOut(BaseModel):
    """What became of a run's proposals, by attribute."""

    items: list[OutcomeOut]


class TouchedPairOut(BaseModel):
    """A pair that is asked again. `why` is `new`, `split`, `redefined`, `restored`, `requirement` (it needs less
    content than before) or `words` (a name or definition went to or came from another pair); `images` is of how many.
    """

    key: str
    positive: str
    negative: str
    why: Why
    images: int


class TakenOut(BaseModel):
    """Requests to a model's server, tokens, and cost by the operator's prices."""

    model_config = ConfigDict(from_attributes=True)

    requests: int
    tokens_in: int
    tokens_out: int
    cost: float


class AgainOut(BaseModel):
    """What labelling again what changed since a run would ask, of at most how many images. `share` is the part of all
    pairs of these images that is asked; what it takes lies between `least` (that share of what the run took for each
    image) and `most` (as much as a whole look at each).
    """

    run: int
    agent: str
    since: int
    criteria_version: int
    pairs: list[TouchedPairOut]
    images: int
    share: float
    least: TakenOut
    most: TakenOut

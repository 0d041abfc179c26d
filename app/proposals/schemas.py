"""Proposals as JSON."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from taxonomy.tree import Relation

State = Literal["open", "accepted", "declined", "withdrawn"]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ExamplesIn(_In):
    """Images, by id, that show each side."""

    positive: list[int] = Field(default=[], max_length=100)
    negative: list[int] = Field(default=[], max_length=100)


class PairIn(_In):
    """A new pair below the dimension with the key `parent`."""

    parent: str
    relation: Relation = "opposed"
    positive_name: str
    positive_definition: str = ""
    negative_name: str
    negative_definition: str = ""


class ChangeIn(_In):
    """Other texts of the node with this key, at the revision that was seen."""

    node: str
    based_on: int
    texts: dict[str, str]


class ProposalIn(_In):
    """A proposal: either `pair` or `change`, with the reason."""

    pair: PairIn | None = None
    change: ChangeIn | None = None
    reason: str
    examples: ExamplesIn = ExamplesIn()


class AcceptIn(_In):
    """An acceptance; `texts` amends what was proposed, `based_on` is the node's revision that was seen."""

    texts: dict[str, str] = {}
    based_on: int | None = None
    answer: str = ""
    names_moved: Literal["keep", "follow"] | None = None


class DeclineIn(_In):
    """A refusal, with the reason for the proposer."""

    answer: str


class ExampleOut(BaseModel):
    """An image that shows one side."""

    image: int
    polarity: Literal["positive", "negative"]


class ProposalOut(BaseModel):
    """A proposal; `made` is the key of the pair that came of it."""

    id: int
    kind: Literal["pair", "change"]
    state: State
    node: str
    based_on: int | None
    content: dict[str, str]
    reason: str
    proposed_by: str
    proposed_at: datetime
    answer: str
    decided_by: str | None
    decided_at: datetime | None
    made: str | None
    examples: list[ExampleOut]


class ProposalsOut(BaseModel):
    """Proposals, newest first, without their examples."""

    items: list[ProposalOut]
    next: int | None

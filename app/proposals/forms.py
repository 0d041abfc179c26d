"""What people type about proposals."""

from typing import Literal

from pydantic import Field

from app.criteria.forms import NodeTexts
from app.web.forms import Fields
from taxonomy.tree import Relation


class PairProposalForm(Fields):
    """A new attribute pair, why, and images that show its sides."""

    parent: str
    relation: Relation = "opposed"
    positive_name: str = Field(min_length=1)
    positive_definition: str = ""
    negative_name: str = Field(min_length=1)
    negative_definition: str = ""
    reason: str = Field(min_length=1)
    positive_examples: str = ""
    negative_examples: str = ""


class ChangeProposalForm(NodeTexts):
    """Other texts of a node, why, and images that show it."""

    node: str
    based_on: int
    reason: str = Field(min_length=1)
    positive_examples: str = ""
    negative_examples: str = ""


class AcceptForm(NodeTexts):
    """The texts as they go into the criteria, and a word for the proposer."""

    based_on: int | None = None
    relation: Relation | None = None
    answer: str = ""
    names_moved: Literal["keep", "follow"] | None = None


class DeclineForm(Fields):
    """Why not."""

    answer: str = ""

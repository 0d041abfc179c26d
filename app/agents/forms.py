"""Forms of agents."""

from pydantic import Field, field_validator

from app.database import LARGEST_KEY
from app.web.forms import Fields
from method.whole_numbers import read_whole


class BudgetForm(Fields):
    budget_tokens: int | None = None
    budget_cost: float | None = None

    @field_validator("budget_tokens", "budget_cost", mode="before")
    @classmethod
    def _empty_is_no_limit(cls, value: object) -> object:
        return None if value == "" else value


class AgentRunForm(BudgetForm):
    agent: str = Field(min_length=1, max_length=40)
    quiet: bool = False
    runs: str = Field(default="", max_length=200)
    """Of an ensemble: the runs that it is made of, by number."""
    at_least: float | None = Field(default=None, gt=0, lt=100)
    """Of an ensemble: how much of what it proposes is to be right, in percent."""

    @property
    def run_ids(self) -> list[int]:
        """The runs as numbers."""
        return [int(each) for each in self.runs.replace(",", " ").split()]

    @field_validator("runs")
    @classmethod
    def _are_numbers(cls, value: str) -> str:
        words = value.replace(",", " ").split()
        if not all(read_whole(each, LARGEST_KEY) is not None for each in words):
            raise ValueError("Write the numbers of the runs, with commas between.")
        return value

    @field_validator("at_least", mode="before")
    @classmethod
    def _empty_is_no_wish(cls, value: object) -> object:
        return None if value == "" else value

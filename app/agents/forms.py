"""Forms of agents."""

from pydantic import Field, field_validator

from app.web.forms import Fields


class BudgetForm(Fields):
    budget_tokens: int | None = None
    budget_cost: float | None = None

    @field_validator("budget_tokens", "budget_cost", mode="before")
    @classmethod
    def _empty_is_no_limit(cls, value: object) -> object:
        return None if value == "" else value


class AgentRunForm(BudgetForm):
    agent: str = Field(min_length=1, max_length=40)

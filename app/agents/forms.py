"""Forms of agents."""

from pydantic import Field

from app.web.forms import Fields


class AgentRunForm(Fields):
    agent: str = Field(min_length=1, max_length=40)

"""JSON shape of the overview."""

from pydantic import BaseModel


class StepOut(BaseModel):
    """One step of the loop: how far it is in numbers (empty: not begun), and whether that is all of it."""

    name: str
    state: str
    done: bool


class OverviewOut(BaseModel):
    """The state of a project."""

    criteria_version: int | None
    images: int
    images_done: int
    labels: dict[str, int]
    agent_runs: int
    audits: int
    judgements: int
    datasets: int
    runs: dict[str, int]
    steps: list[StepOut]

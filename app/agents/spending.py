"""What an agent run has taken so far, and what it will have taken when it is done, by what each image took."""

from dataclasses import dataclass

from app.agents.models import AgentRun
from app.jobs.models import Job


@dataclass(frozen=True)
class Spending:
    """Tokens read and written together, and cost in the currency of the operator's prices. What is expected is None
    where nothing can be said: before the first image, and after the last.
    """

    tokens: int
    cost: float
    expected_tokens: int | None = None
    expected_cost: float | None = None


def spending_of(run: AgentRun, job: Job | None) -> Spending:
    """The account of a run, drawn on to its end where it is not done."""
    tokens, cost = run.tokens_in + run.tokens_out, float(run.cost)
    total = job.progress.get("total") if job and job.state != "succeeded" else None
    if not total or not run.images or not tokens:
        return Spending(tokens, cost)
    share = max(1.0, total / run.images)
    return Spending(tokens, cost, round(tokens * share), round(cost * share, 6))

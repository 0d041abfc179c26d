"""How much an agent run may take: a run that has spent its budget stops, and goes on when it is given more."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from app.agents.models import AgentRun
from app.database import Json
from app.errors import Invalid


@dataclass(frozen=True)
class Budget:
    """Tokens read and written together, and cost in the currency of the prices; None is no limit."""

    tokens: int | None = None
    cost: float | None = None

    def as_config(self) -> Json:
        """As the run keeps it. Raises Invalid for what is no budget."""
        for name, limit in (("tokens", self.tokens), ("cost", self.cost)):
            if limit is not None and not 0 < limit < 10**15:
                raise Invalid("A budget is a number above 0.", field=f"budget_{name}")
        said = {"tokens": self.tokens, "cost": self.cost}
        return {"budget": said} if said != {"tokens": None, "cost": None} else {}


def budget_of(run: AgentRun) -> Budget:
    return Budget(**run.config.get("budget", {}))


def set_budget(db: Session, run: AgentRun, budget: Budget) -> None:
    """Give a run another budget; one that had stopped is resumed at its job."""
    kept = {name: value for name, value in run.config.items() if name != "budget"}
    run.config = kept | budget.as_config()
    db.flush()


def is_spent(run: AgentRun) -> bool:
    """Whether a run has taken as much as it may."""
    budget = budget_of(run)
    tokens = budget.tokens is not None and run.tokens_in + run.tokens_out >= budget.tokens
    return tokens or (budget.cost is not None and float(run.cost) >= budget.cost)

"""A frozen loss: theta went so far that the loss calls every image learned, whichever way it went.

The factor before the gradient dies with the distance from the reference in Eq. 14, and with the margin in
Eq. 12. Where it is dead while the winning part is above 0 (theta is further from the winner than the reference
is), loss and gradient are near 0, no step leads back, and the curve of the loss looks like success.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from method.training.config import Config
from method.training.winning import DEAD_FACTOR
from worker.training.going_back import RollBack


class FreezeWatch:
    """Counts steps in a row whose loss is frozen. Its state is a scalar on the device, as that of the guard."""

    def __init__(self, config: Config, device: torch.device) -> None:
        """With a guidance of 1 nothing is watched: there the winning part has to rise (docs/runs.md)."""
        objective = config.objective
        facts = objective.facts
        is_watched = facts.needs_expert and facts.pulls_by_beta and objective.omega_w > 1
        self.patience = config.guard.frozen_steps if is_watched else None
        self.device = device
        self.in_a_row = torch.zeros((), dtype=torch.int64, device=device)

    def look(self, factor: Tensor, win: Tensor) -> None:
        """Take note of a step's mean factor and winning part, without waiting for the device."""
        is_frozen = (factor < DEAD_FACTOR) & (win > 0)
        self.in_a_row = torch.where(is_frozen, self.in_a_row + 1, 0)

    def is_doubtful(self) -> bool:
        """Whether the last step was frozen, so that no checkpoint should hold it. Waits for the device."""
        return self.patience is not None and bool(self.in_a_row > 0)

    def problem(self) -> RollBack | None:
        """What is wrong, once as many steps in a row were frozen as the config waits. Waits for the device."""
        if self.patience is None or int(self.in_a_row) < self.patience:
            return None
        return RollBack(
            f"The loss is frozen: for the last {self.patience} steps or more the factor before the gradient was "
            f"below {DEAD_FACTOR:g} while the winning part was above 0, so theta is further from the winner than the "
            "reference is and nothing leads it back",
            "lower optimization.learning_rate or set objective.drift_cap; where the expert shows no attribute "
            "gain, train a better one",
            may_start_anew=True,
        )

    def state(self) -> dict[str, Tensor]:
        return {"in_a_row": self.in_a_row}

    def restore(self, state: Mapping[str, Any] | None) -> None:
        """Take up what `state` gave; earlier checkpoints have none."""
        kept = torch.zeros((), dtype=torch.int64) if state is None else state["in_a_row"]
        self.in_a_row = kept.to(self.device)

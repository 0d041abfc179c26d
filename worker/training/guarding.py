"""The guard against steps that would spoil the weights: NaN, and gradients far larger than before.

Preference losses are known for it: after some hundred good steps one gradient explodes and every sample
is noise from then on. A judged step is left out on the device (optimizers.descend); the host learns of
it only when a log line is written.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from method.training.config import Guard
from method.training.failures import NonFinite
from worker.training.going_back import RollBack

MEMORY = 0.98
"""Weight of the past in the running mean: it spans about 50 accepted steps."""


class SpikeGuard:
    """Judges each step by its loss and its gradient norm.

    Its state are scalars on the device, and no method waits for the device unless it says so. All
    processes of a run come to the same judgement if they judge the same numbers: give it the loss and
    the norm over all of them.
    """

    def __init__(self, guard: Guard, device: torch.device) -> None:
        self.guard, self.device = guard, device
        self.mean = torch.zeros((), dtype=torch.float64, device=device)
        self.accepted = torch.zeros((), dtype=torch.int64, device=device)
        self.in_a_row = torch.zeros((), dtype=torch.int64, device=device)
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)

    def judge(self, loss: Tensor, norm: Tensor) -> Tensor:
        """Return 1 if the step must be left out, else 0: float32, a scalar on the device.

        Left out are steps whose loss or norm is not finite, and, once `settle_steps` steps were accepted,
        those whose norm is over `spike_factor` times the running mean of accepted norms.
        """
        loss, norm = loss.detach(), norm.detach().double()
        bad = ~(torch.isfinite(loss) & torch.isfinite(norm))
        if self.guard.spike_factor is not None:
            bad = bad | self._is_spike(norm, self.guard.spike_factor)
        # `where` and not a product: NaN times zero is NaN.
        self.mean = torch.where(bad, self.mean, MEMORY * self.mean + (1 - MEMORY) * norm)
        self.accepted = self.accepted + ~bad
        self.in_a_row = torch.where(bad, self.in_a_row + 1, 0)
        self.skipped = self.skipped + bad
        return bad.float()

    def problem(self) -> RollBack | None:
        """What is wrong, once the last `patience` steps or more were all left out. Waits for the device."""
        if int(self.in_a_row.item()) < self.guard.patience:
            return None
        return RollBack(
            f"The last {self.guard.patience} steps or more had gradients that exploded or were not numbers",
            "lower optimization.learning_rate, or look at the images of these steps",
        )

    @property
    def num_skipped(self) -> int:
        """Steps left out so far, also those before a rollback. Waits for the device."""
        return int(self.skipped.item())

    def state(self) -> dict[str, Tensor]:
        return {
            "mean": self.mean,
            "accepted": self.accepted,
            "in_a_row": self.in_a_row,
            "skipped": self.skipped,
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Take up what `state` gave; the next judgements are those of an unbroken run."""
        self.mean = state["mean"].to(self.device)
        self.accepted = state["accepted"].to(self.device)
        self.in_a_row = state["in_a_row"].to(self.device)
        self.skipped = state["skipped"].to(self.device)

    def roll_back(self, state: Mapping[str, Tensor]) -> None:
        """Take up a checkpoint's mean; the steps left out since stay counted, and patience is new."""
        skipped = self.skipped
        self.restore(state)
        self.skipped, self.in_a_row = skipped, torch.zeros_like(skipped)

    def _is_spike(self, norm: Tensor, factor: float) -> Tensor:
        # The running mean starts at zero, so it is divided by the weight it has gathered so far.
        mean = self.mean / (1 - torch.pow(MEMORY, self.accepted.double()))
        is_settled = self.accepted >= self.guard.settle_steps
        return is_settled & (norm > factor * mean)


def after_rollback(num_rollbacks: int, guard: Guard, lost: RollBack) -> int:
    """Count one more rollback. Raises NonFinite with the problem when there were `max_rollbacks` already."""
    if num_rollbacks >= guard.max_rollbacks:
        raise NonFinite(f"{lost}, after {num_rollbacks} rollbacks; {lost.way_out}")
    return num_rollbacks + 1


def rate_factor(num_rollbacks: int) -> float:
    """What the learning rate is multiplied by: each rollback halves it."""
    return 0.5**num_rollbacks

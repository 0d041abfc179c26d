"""The training loop. It knows steps, gradients and where to call, but no objective and no model."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from worker.training.batches import Batch, Plan
from worker.training.config import Optimization
from worker.training.failures import Ended, NonFinite
from worker.training.metrics import Averages
from worker.training.step import Losses, mean_of

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Calls:
    """What the loop calls. `finish_step` logs, samples, saves, and raises Stopped when asked to."""

    load: Callable[[Sequence[int], int], Batch]
    compute: Callable[[Batch], Losses]
    check_ready: Callable[[], None]
    finish_step: Callable[[int, float], None]
    """Called with the step's number of images and the seconds it took."""


@dataclass(slots=True)
class Trainee:
    """What changes from step to step, and so what a checkpoint holds."""

    parameters: Mapping[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    averages: Averages = field(default_factory=Averages)
    step: int = 0

    def state(self) -> dict[str, Any]:
        """Everything but the weights, as tensors and plain values."""
        return {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "averages": {"sums": self.averages.sums, "weight": self.averages.weight},
            "random": torch.get_rng_state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up what `state` gave."""
        self.step = state["step"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.averages.sums = dict(state["averages"]["sums"])
        self.averages.weight = state["averages"]["weight"]
        torch.set_rng_state(state["random"])


def make_trainee(parameters: Mapping[str, nn.Parameter], optimization: Optimization) -> Trainee:
    """AdamW on the given weights."""
    optimizer = torch.optim.AdamW(
        list(parameters.values()),
        lr=optimization.learning_rate,
        weight_decay=optimization.weight_decay,
    )
    return Trainee(parameters, optimizer)


def learning_rate(step: int, optimization: Optimization) -> float:
    """Linear warm-up, then constant; a function of the step (from 1), so nothing needs saving."""
    share = min(1.0, step / optimization.warmup_steps) if optimization.warmup_steps else 1.0
    return optimization.learning_rate * share


def train(trainee: Trainee, plan: Plan, optimization: Optimization, calls: Calls) -> None:
    """Go from the trainee's step to the plan's end."""
    while trainee.step < plan.total_steps:
        step = trainee.step + 1
        started = time.monotonic()
        values, num_images = _descend(trainee, step, plan, optimization, calls)
        trainee.step = step
        trainee.averages.add(values, num_images)
        calls.finish_step(num_images, time.monotonic() - started)


def _descend(
    trainee: Trainee, step: int, plan: Plan, optimization: Optimization, calls: Calls
) -> tuple[dict[str, float], int]:
    """One optimizer step; returns what to log and the number of images."""
    passes = plan.batches(step)
    num_images = sum(map(len, passes))
    logged = Averages()
    for indices in passes:
        found = calls.compute(calls.load(indices, plan.epoch_of(step)))
        loss = found.loss_B.sum() / num_images
        # Before the backward pass: a NaN must not reach the weights.
        if not math.isfinite(loss.item()):
            raise NonFinite(f"The loss of step {step} is {loss.item()}; nothing was changed by it")
        calls.check_ready()
        loss.backward()
        logged.add(mean_of({"loss": found.loss_B.detach(), **found.logged}), len(indices))
    norm = _clip(trainee, step, optimization.max_grad_norm)
    rate = learning_rate(step, optimization)
    for group in trainee.optimizer.param_groups:
        group["lr"] = rate
    trainee.optimizer.step()
    trainee.optimizer.zero_grad(set_to_none=True)
    return logged.take() | {"grad_norm": norm, "lr": rate}, num_images


def _clip(trainee: Trainee, step: int, most: float) -> float:
    norm = float(nn.utils.clip_grad_norm_(list(trainee.parameters.values()), most))
    if not math.isfinite(norm):
        raise NonFinite(f"The gradient of step {step} is {norm}; nothing was changed by it")
    if step == 1 and norm == 0:
        raise Ended("The first gradient is zero: the images and the expert give no direction")
    return norm

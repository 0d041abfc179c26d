"""The training loop. It knows steps, gradients and where to call, but no objective and no model."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from method.training.config import Config
from method.training.failures import Ended
from worker.training.batches import Batch, load_ahead
from worker.training.ema import Ema
from worker.training.engine import Engine
from worker.training.freezing import FreezeWatch
from worker.training.guarding import SpikeGuard, rate_factor
from worker.training.learning_rates import learning_rate
from worker.training.metrics import Averages
from worker.training.objectives import Losses
from worker.training.optimizers import clip_norm, descend, make_optimizer
from worker.training.plan import Pass, Plan
from worker.training.roles import Roles
from worker.training.sharding import share_out, whole
from worker.training.stopping import Between, Leave, go_on

WATCHED = ("factor", "win")
"""By what a frozen loss is known."""


@dataclass(frozen=True, slots=True)
class Calls:
    load: Callable[[Pass, int], Batch]
    """Put the images of a pass in an epoch together; called in a thread, ahead of time."""
    compute: Callable[[Batch], Losses]
    finish_step: Callable[[int, float], None]
    """Called with the step's number of images and the seconds that this process took for it. Logs,
    samples, saves; raises Stopped when asked to, and RollBack where a guard has found a problem."""
    between: Between = go_on
    """Called before each pass of a step; raises Leave when asked to stop, and the step is not done then."""


@dataclass(slots=True)
class Trainee:
    """What changes from step to step, and so what a checkpoint holds."""

    parameters: Mapping[str, nn.Parameter]
    optimizer: torch.optim.Optimizer
    guard: SpikeGuard
    freeze: FreezeWatch
    ema: Ema | None
    averages: Averages = field(default_factory=Averages)
    step: int = 0
    num_rollbacks: int = 0

    def state(self, *, keep: bool = True) -> dict[str, Any]:
        """Everything but the weights, as tensors and plain values.

        Of a sharded model all processes have to call this; those that do not `keep` it get none of what
        is sharded.
        """
        state = {
            "step": self.step,
            "optimizer": self.optimizer.state_dict(),
            "guard": self.guard.state(),
            "freeze": self.freeze.state(),
            "ema": self.ema.state() if self.ema else None,
            "averages": self.averages.state(),
            "random": torch.get_rng_state(),
        }
        found: dict[str, Any] = whole(state, keep=keep)
        return found

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Take up what `state` gave."""
        self.step = state["step"]
        self.optimizer.load_state_dict(
            share_out(state["optimizer"], list(self.parameters.values()))
        )
        self.guard.restore(state["guard"])
        self.freeze.restore(state.get("freeze"))
        if self.ema is not None:
            self.ema.restore(state["ema"])
        self.averages.restore(state["averages"], device)
        torch.set_rng_state(state["random"])


def make_trainee(parameters: Mapping[str, nn.Parameter], config: Config, device: Any) -> Trainee:
    """The optimizer, the guard and the mean of the weights, all at their start."""
    optimization = config.optimization
    decay = optimization.ema_decay
    return Trainee(
        parameters=parameters,
        optimizer=make_optimizer(parameters.values(), optimization, device),
        guard=SpikeGuard(config.guard, device),
        freeze=FreezeWatch(config, device),
        ema=Ema(parameters, decay) if decay is not None else None,
    )


def train(
    trainee: Trainee, plan: Plan, config: Config, engine: Engine, roles: Roles, calls: Calls
) -> None:
    """Go from the trainee's step to the plan's end."""
    loads = _loads(plan, trainee.step, calls)
    with closing(load_ahead(loads, engine.device)) as batches:
        while trainee.step < plan.total_steps:
            started = time.monotonic()
            step = trainee.step + 1
            num_images = len(plan.images(step))
            try:
                totals, num_mine = _accumulate(trainee, plan, step, engine, roles, calls, batches)
            except Leave:
                trainee.optimizer.zero_grad(set_to_none=True)
                raise
            loss, factor, win = engine.sum(totals).unbind()
            norm = _descend(trainee, plan, step, config, loss)
            trainee.freeze.look(factor, win)
            trainee.averages.add_step({"grad_norm": norm}, num_mine)
            trainee.step = step
            calls.finish_step(num_images, time.monotonic() - started)


def _loads(plan: Plan, done: int, calls: Calls) -> Iterator[Callable[[], Batch]]:
    for step in range(done + 1, plan.total_steps + 1):
        epoch = plan.epoch_of(step)
        for this_pass in plan.passes(step):
            yield lambda this_pass=this_pass, epoch=epoch: calls.load(this_pass, epoch)  # type: ignore[misc]


def _accumulate(
    trainee: Trainee,
    plan: Plan,
    step: int,
    engine: Engine,
    roles: Roles,
    calls: Calls,
    batches: Iterator[Batch],
) -> tuple[Tensor, int]:
    """The gradients of all passes of a step. Returns this process's part of its mean loss, factor and winning
    part (0 where the objective has none), and the number of its images.
    """
    passes, num_images = plan.passes(step), len(plan.images(step))
    totals, logged = torch.zeros(3, device=engine.device), []
    for number, _ in enumerate(passes, 1):
        calls.between()
        batch = next(batches)
        with engine.passing(roles.theta_called, is_last=number == len(passes)):
            found = calls.compute(batch)
            loss = (found.loss_B * batch.weight_B).sum() / num_images
            roles.check_ready()
            # Several processes take the mean of their gradients, and the sum is meant.
            (loss * engine.processes).backward()
        totals = totals + torch.stack(
            [loss.detach(), *(_part_of(found, name, batch, num_images) for name in WATCHED)]
        )
        logged.append(({"loss": found.loss_B.detach(), **found.logged}, batch.weight_B))
    # Only now: of a step that is left no part may be counted.
    for values, weight_B in logged:
        trainee.averages.add(values, weight_B)
    return totals, sum(int(weight) for this_pass in passes for weight in this_pass.weights)


def _part_of(found: Losses, name: str, batch: Batch, num_images: int) -> Tensor:
    """A pass's part of the step's mean of what is logged under a name."""
    value_B = found.logged.get(name, torch.zeros_like(batch.weight_B))
    return (value_B.detach() * batch.weight_B).sum().float() / num_images


def _descend(trainee: Trainee, plan: Plan, step: int, config: Config, loss: Tensor) -> Tensor:
    """One optimizer step, left out where the guard says so; returns the gradient's norm."""
    optimization = config.optimization
    norm = clip_norm(trainee.parameters.values(), optimization.max_grad_norm)
    # Not of one that samples itself: its first candidates may all be equally good.
    if step == 1 and not config.objective.facts.samples_itself and norm.item() == 0:
        raise Ended(
            f"The first gradient is zero, with a loss of {loss.item():.3g}: images and expert give no "
            "direction, or, where the loss is near 0, theta starts where objective.beta lets nothing "
            "more be gained"
        )
    rate = rate_of(trainee, plan, step, config)
    for group in trainee.optimizer.param_groups:
        group["lr"] = rate
    descend(trainee.optimizer, trainee.guard.judge(loss, norm))
    trainee.optimizer.zero_grad(set_to_none=True)
    if trainee.ema is not None:
        trainee.ema.update()
    return norm


def rate_of(trainee: Trainee, plan: Plan, step: int, config: Config) -> float:
    peak = config.effective_learning_rate * rate_factor(trainee.num_rollbacks)
    return learning_rate(config.optimization, peak, step, plan.total_steps)

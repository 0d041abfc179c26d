"""What stabilising costs: CPO and CPO-S differ in the loss function and in nothing else.

Steps of both alternate in one process, through the trainer's own loop; and the loss functions are timed
alone, which shows differences that the noise of whole steps hides.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch

from bench.training_counting import seconds_each, wait_for
from method.training.config import Config
from worker.training.batches import Batch, Drawing
from worker.training.cores import set_threads
from worker.training.encodings import Encodings
from worker.training.engine import Engine
from worker.training.inputs import choose_inputs, read_source
from worker.training.loop import Calls, make_trainee, train
from worker.training.losses import cpo_loss
from worker.training.models import load_models
from worker.training.objectives import Losses, Parts
from worker.training.objectives.registry import make_objective
from worker.training.plan import Pass, make_plan
from worker.training.preparing import encode, items_of

Variant = Literal["cpo", "cpo_s"]
# Balanced against whatever drifts, and against what a step owes to the one before it.
ORDER: tuple[Variant, ...] = ("cpo", "cpo_s", "cpo_s", "cpo")
PREDICTIONS = (4, 128, 128)
"""Of SDXL at 1024 px."""


@dataclass(frozen=True, slots=True)
class Stabilisation:
    """What came out."""

    plain_seconds: list[float]
    stabilised_seconds: list[float]
    """Of steps beside each other, in the same order."""
    loss_seconds: dict[str, float]
    """Forward and backward pass of the loss alone, at the size of the run's predictions."""
    loss_seconds_1024: dict[str, float]
    """The same at the size of SDXL's predictions at 1024 px."""


def measure_stabilisation(config: Config, warm_up: int) -> Stabilisation:
    """Alternate, then time the losses; `config` is a cpo_s run's."""
    engine = Engine(config)
    set_threads(config)
    steps, shape = _alternate(config, engine)
    first = warm_up + warm_up % 2
    pairs = list(zip(steps[first::2], steps[first + 1 :: 2], strict=False))
    ordered = [(dict(pair)["cpo"], dict(pair)["cpo_s"]) for pair in pairs]
    batch = config.optimization.batch_size
    return Stabilisation(
        plain_seconds=[plain for plain, _ in ordered],
        stabilised_seconds=[stabilised for _, stabilised in ordered],
        loss_seconds=_time_losses((batch, *shape), engine.device),
        loss_seconds_1024=_time_losses((batch, *PREDICTIONS), engine.device),
    )


def _alternate(
    config: Config, engine: Engine
) -> tuple[list[tuple[Variant, float]], tuple[int, ...]]:
    """Seconds of each step with the loss that it descended, and the shape of a prediction."""
    source = read_source(config)
    models = load_models(config, engine.device)
    backbone, roles = models.backbone, models.roles
    encodings = Encodings(backbone, None, null_is_zeros=False)
    noise = config.noise
    drawing = Drawing(backbone.schedule, config.seed, noise.timesteps, noise.offset)
    objectives = {
        kind: make_objective(
            Parts(
                replace(config, objective=replace(config.objective, kind=kind)),
                backbone,
                roles,
                encodings,
                drawing,
            )
        )
        for kind in ("cpo", "cpo_s")
    }
    inputs = choose_inputs(config, source, objectives["cpo_s"], encodings)
    plan = make_plan(inputs.shapes, config)
    trainee = make_trainee(roles.theta, config, engine.device)
    found: list[tuple[Variant, float]] = []
    times = [0.0]

    def load(dealt: Pass, epoch: int) -> Batch:
        items = [inputs.items[index] for index in dealt.indices]
        return objectives["cpo_s"].load(items, dealt, inputs.shapes[dealt.indices[0]], epoch)

    def compute(batch: Batch) -> Losses:
        return objectives[ORDER[trainee.step % len(ORDER)]].compute(batch)

    def finish_step(_images: int, _seconds: float) -> None:
        wait_for(engine.device)
        times.append(clock())
        found.append((ORDER[(trainee.step - 1) % len(ORDER)], times[-1] - times[-2]))

    clock = _clock(config)
    needed = [(inputs.items[index], inputs.shapes[index]) for index in items_of(plan, 0)]
    encode(encodings, objectives["cpo_s"], needed, lambda _: None)
    item, (width, height, *_) = needed[0]
    latent, _ = encodings.latent(item, (width, height))
    backbone.release_encoders()
    times.append(clock())
    train(trainee, plan, config, engine, roles, Calls(load, compute, finish_step))
    return found, tuple(latent.shape)


def _clock(config: Config) -> Callable[[], float]:
    """With one CPU thread its own seconds, which other processes cannot lengthen; else the wall's."""
    alone = config.device == "cpu" and config.threads == 1
    return time.thread_time if alone else time.perf_counter


def _time_losses(shape: tuple[int, ...], device: torch.device) -> dict[str, float]:
    """Seconds of a forward and backward pass through each loss: medians of alternating turns."""
    generator = torch.Generator().manual_seed(0)
    prediction, *others = (torch.randn(shape, generator=generator).to(device) for _ in range(4))
    prediction.requires_grad_()

    def once(variant: Variant) -> None:
        found = cpo_loss(prediction, *others, scale=2500.0, stabilized=variant == "cpo_s")
        torch.autograd.grad(found.loss.mean(), prediction)

    seconds: dict[Variant, list[float]] = {"cpo": [], "cpo_s": []}
    for _ in range(10):
        for variant in ORDER:
            seconds[variant].append(seconds_each(lambda: once(variant), device, 10))  # noqa: B023
    return {variant: statistics.median(each[2:]) for variant, each in seconds.items()}

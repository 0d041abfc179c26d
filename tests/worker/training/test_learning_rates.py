"""Learning rates by hand-made values, and as the schedules of transformers have them."""

import math

import pytest
import torch
from transformers.optimization import get_scheduler

from method.training.config import Optimization
from worker.training.learning_rates import learning_rate


def rates(total: int, peak: float = 1.0, **options: object) -> list[float]:
    wanted = Optimization(**options)  # type: ignore[arg-type]
    return [learning_rate(wanted, peak, step, total) for step in range(1, total + 1)]


def test_without_warm_up_it_is_the_peak_from_the_first_step_on() -> None:
    assert rates(3, peak=0.25) == [0.25, 0.25, 0.25]


def test_it_grows_from_zero_to_the_peak() -> None:
    assert rates(6, peak=2.0, warmup_steps=4) == [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]


def test_linear_falls_and_the_last_step_still_moves_something() -> None:
    assert rates(6, warmup_steps=2, schedule="linear") == [0.5, 1, 1, 0.75, 0.5, 0.25]
    assert rates(1, schedule="linear") == [1]


def test_cosine_is_half_way_in_the_middle() -> None:
    found = rates(6, warmup_steps=2, schedule="cosine")
    expected = [0.5, 1, 1, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2]
    assert found == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_warm_up_longer_than_the_run_only_grows(schedule: str) -> None:
    assert rates(3, warmup_steps=4, schedule=schedule) == [0.25, 0.5, 0.75]
    assert rates(4, warmup_steps=4, schedule=schedule) == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("warmup", [0, 1, 7])
@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_it_is_what_transformers_schedulers_give(schedule: str, warmup: int) -> None:
    """Theirs counts from 0, and wastes the first step of a warm-up on a rate of zero; ours does not."""
    total = 20
    name = "constant_with_warmup" if schedule == "constant" else schedule
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    theirs = get_scheduler(name, optimizer, warmup, total)
    by_count = [theirs.get_last_lr()[0]]
    for _ in range(total):
        optimizer.step()
        theirs.step()
        by_count.append(theirs.get_last_lr()[0])
    for step, rate in enumerate(rates(total, peak=0.3, warmup_steps=warmup, schedule=schedule), 1):
        assert rate == pytest.approx(by_count[step if step <= warmup else step - 1], abs=1e-12)

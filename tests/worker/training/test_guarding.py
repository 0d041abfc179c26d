"""The guard: which steps it leaves out, when it asks for a rollback, and that resuming changes nothing."""

import math
import random
from pathlib import Path

import pytest
import torch

from method.training.config import Guard
from method.training.failures import NonFinite
from tests.worker.training.test_optimizers import NoHostReads
from worker.training.going_back import RollBack
from worker.training.guarding import SpikeGuard, after_rollback, rate_factor

CPU = torch.device("cpu")
NAN, INF = float("nan"), float("inf")


def make(spike_factor: float | None = 3.0) -> SpikeGuard:
    return SpikeGuard(Guard(spike_factor=spike_factor, settle_steps=4, patience=3), CPU)


def judge(guard: SpikeGuard, norm: float, loss: float = 0.7) -> bool:
    skip = guard.judge(torch.tensor(loss), torch.tensor(norm))
    assert skip.dtype == torch.float32
    assert skip.shape == ()
    assert skip.item() in (0.0, 1.0)
    return bool(skip)


@pytest.mark.parametrize(("loss", "norm"), [(NAN, 1), (INF, 1), (-INF, 1), (0.7, NAN), (0.7, INF)])
@pytest.mark.parametrize("factor", [3.0, None])
def test_what_is_no_number_is_left_out_from_the_first_step_on(
    loss: float, norm: float, factor: float | None
) -> None:
    guard = make(spike_factor=factor)
    assert judge(guard, norm, loss)
    assert not judge(guard, 1.0)
    assert judge(guard, norm, loss)
    assert guard.num_skipped == 2


def test_a_spike_is_left_out_only_once_the_mean_has_settled() -> None:
    guard = make()
    assert [judge(guard, norm) for norm in (1, 100, 1, 900)] == [False] * 4
    guard = make()
    assert [judge(guard, norm) for norm in (1, 1, 1, 1)] == [False] * 4
    assert judge(guard, 3.01)
    assert not judge(guard, 2.99)


def test_without_a_factor_any_finite_norm_is_good() -> None:
    guard = make(spike_factor=None)
    assert [judge(guard, norm) for norm in (1, 1, 1, 1, 1, 1e30)] == [False] * 6


def test_the_mean_is_that_of_accepted_norms_with_the_past_weighing_98_percent() -> None:
    """Against a slow version in plain Python, with norms of all kinds."""
    guard, draw = make(), random.Random(3)
    accepted: list[float] = []
    for _ in range(200):
        norm = draw.choice([draw.uniform(0.5, 2), draw.uniform(2, 12), NAN])
        weights = [0.98 ** (len(accepted) - 1 - i) for i in range(len(accepted))]
        bad = math.isnan(norm)
        if not bad and len(accepted) >= 4:
            mean = sum(w * a for w, a in zip(weights, accepted, strict=True)) / sum(weights)
            bad = norm > 3 * mean
        assert judge(guard, norm) == bad
        if not bad:
            accepted.append(float(torch.tensor(norm)))
    assert guard.num_skipped == 200 - len(accepted) > 20


def test_a_rollback_is_asked_for_after_as_many_bad_steps_in_a_row_as_patience_says() -> None:
    guard = make()
    for norm, wanted in [(NAN, False), (NAN, False), (1, False), (NAN, False), (NAN, False)]:
        judge(guard, norm)
        assert (guard.problem() is not None) is wanted
    judge(guard, NAN)
    assert guard.problem() is not None
    judge(guard, NAN)
    assert guard.problem() is not None
    judge(guard, 1)
    assert guard.problem() is None


def test_judging_reads_nothing_back() -> None:
    guard, loss, norm = make(), torch.tensor(0.5), torch.tensor(2.0)
    with NoHostReads():
        for _ in range(10):
            guard.judge(loss, norm)


def test_a_loss_with_a_graph_leaves_none_in_the_state() -> None:
    guard, weight = make(), torch.ones(2, requires_grad=True)
    skip = guard.judge(weight.sum(), weight.norm())
    assert not skip.requires_grad
    assert not any(value.requires_grad for value in guard.state().values())


def test_a_resumed_guard_judges_as_an_unbroken_one(tmp_path: Path) -> None:
    draw = random.Random(5)
    norms = [draw.choice([draw.uniform(0.5, 2), draw.uniform(2, 12), NAN]) for _ in range(60)]
    unbroken = make()
    for norm in norms[:30]:
        judge(unbroken, norm)
    torch.save(unbroken.state(), tmp_path / "guard.pt")
    resumed = make()
    resumed.restore(torch.load(tmp_path / "guard.pt", weights_only=True))
    for norm in norms[30:]:
        assert judge(resumed, norm) == judge(unbroken, norm)
        assert str(resumed.problem()) == str(unbroken.problem())
    for name, value in unbroken.state().items():
        assert torch.equal(value, resumed.state()[name])


def test_a_state_does_not_change_with_later_steps() -> None:
    guard = make()
    judge(guard, 1.0)
    state = guard.state()
    before = {name: value.clone() for name, value in state.items()}
    judge(guard, 5.0)
    judge(guard, NAN)
    assert all(torch.equal(before[name], state[name]) for name in before)


def test_a_rollback_takes_up_the_old_mean_but_forgets_no_skipped_step() -> None:
    guard = make()
    for norm in (1, 1, 1, 1, NAN):
        judge(guard, norm)
    state = guard.state()
    for norm in (2.9, NAN, NAN, NAN):
        judge(guard, norm)
    guard.roll_back(state)
    assert guard.num_skipped == 4
    assert guard.problem() is None
    assert torch.equal(guard.mean, state["mean"])
    assert judge(guard, 3.01)


def test_each_rollback_halves_the_learning_rate_until_there_were_too_many() -> None:
    guard, count = Guard(max_rollbacks=2), 0
    lost = RollBack("It went wrong", "lower optimization.learning_rate")
    assert rate_factor(count) == 1.0
    count = after_rollback(count, guard, lost)
    assert rate_factor(count) == 0.5
    count = after_rollback(count, guard, lost)
    assert rate_factor(count) == 0.25
    with pytest.raises(NonFinite, match=r"after 2 rollbacks; lower optimization\.learning_rate"):
        after_rollback(count, guard, lost)

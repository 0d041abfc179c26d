"""The mean of the weights: its values, the exact way there and back, and its state."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from method.training.failures import Ended
from worker.training.ema import Ema


def make(decay: float = 0.9) -> tuple[dict[str, nn.Parameter], Ema]:
    generator = torch.Generator().manual_seed(0)
    parameters = {
        name: nn.Parameter(torch.randn(shape, generator=generator))
        for name, shape in (("down", (4, 3)), ("up", (3, 4)), ("bias", (5,)))
    }
    return parameters, Ema(parameters, decay)


def move(parameters: dict[str, nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in parameters.values():
            parameter.add_(torch.randn(parameter.shape, generator=generator))


def copies(parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    return {name: parameter.detach().clone() for name, parameter in parameters.items()}


def same(some: dict[str, Tensor], others: dict[str, Tensor]) -> bool:
    return some.keys() == others.keys() and all(torch.equal(some[n], others[n]) for n in some)


def test_it_starts_as_the_parameters_are() -> None:
    parameters, ema = make()
    assert same(ema.weights(), copies(parameters))


@pytest.mark.parametrize("decay", [0.9, 0.15, 0.0, 1.0])
def test_the_mean_follows_with_a_decay_that_warms_up(decay: float) -> None:
    parameters, ema = make(decay)
    expected = {name: value.double() for name, value in copies(parameters).items()}
    for n in range(100):
        move(parameters, n)
        ema.update()
        now = min(decay, (1 + n) / (10 + n))
        for name, parameter in parameters.items():
            expected[name] = now * expected[name] + (1 - now) * parameter.detach().double()
    for name, value in ema.weights().items():
        torch.testing.assert_close(value.double(), expected[name], atol=1e-4, rtol=1e-5)
    assert decay > 0 or same(ema.weights(), copies(parameters))


def test_means_have_no_gradient_and_parameters_keep_theirs() -> None:
    parameters, ema = make()
    ema.update()
    assert not any(mean.requires_grad for mean in ema.weights().values())
    assert all(parameter.requires_grad for parameter in parameters.values())


def test_swapped_parameters_are_the_means_and_come_back_bit_for_bit() -> None:
    parameters, ema = make()
    for seed in (1, 2):
        move(parameters, seed)
        ema.update()
    with torch.no_grad():
        parameters["bias"][0] = float("nan")
        parameters["bias"][1] = -0.0
    before = {name: value.view(torch.int32) for name, value in copies(parameters).items()}
    means = {name: mean.clone() for name, mean in ema.weights().items()}
    addresses = [parameter.data_ptr() for parameter in parameters.values()]
    with ema.swapped():
        assert same(copies(parameters), means)
        assert [parameter.data_ptr() for parameter in parameters.values()] == addresses
    after = {name: value.view(torch.int32) for name, value in copies(parameters).items()}
    assert same(before, after)
    assert same(ema.weights(), means)


def test_they_come_back_when_what_is_done_with_them_fails() -> None:
    parameters, ema = make()
    move(parameters, 1)
    before = copies(parameters)
    with pytest.raises(ZeroDivisionError), ema.swapped():
        raise ZeroDivisionError
    assert same(copies(parameters), before)
    ema.update()


@pytest.mark.parametrize(
    "use",
    [
        lambda ema: ema.update(),
        lambda ema: ema.weights(),
        lambda ema: ema.state(),
        lambda ema: ema.restore({"means": {}, "num_updates": 0}),
        lambda ema: ema.swapped().__enter__(),
    ],
)
def test_nothing_mistakes_one_for_the_other_while_swapped(use: Callable[[Ema], object]) -> None:
    _, ema = make()
    with ema.swapped(), pytest.raises(AssertionError, match="leave swapped"):
        use(ema)


@pytest.mark.bits
def test_a_resumed_mean_goes_on_bit_for_bit(tmp_path: Path) -> None:
    parameters, ema = make(0.5)
    for seed in (1, 2):
        move(parameters, seed)
        ema.update()
    torch.save(ema.state(), tmp_path / "ema.pt")
    resumed = Ema(parameters, 0.5)
    resumed.restore(torch.load(tmp_path / "ema.pt", weights_only=True))
    for seed in (3, 4):
        move(parameters, seed)
        ema.update()
        resumed.update()
    assert same(ema.weights(), resumed.weights())
    assert resumed.num_updates == 4


@pytest.mark.parametrize("wrong", [{"down": torch.zeros(4, 3)}, {}])
def test_the_state_of_other_parameters_is_refused_and_changes_nothing(
    wrong: dict[str, Tensor],
) -> None:
    parameters, ema = make()
    with pytest.raises(Ended, match="another model"):
        ema.restore({"num_updates": 3, "means": wrong})
    assert same(ema.weights(), copies(parameters))
    assert ema.num_updates == 0


def test_the_state_of_other_shapes_is_refused() -> None:
    _, ema = make()
    means = {name: mean.flatten() for name, mean in ema.weights().items()}
    with pytest.raises(Ended, match="another model"):
        ema.restore({"num_updates": 3, "means": means})

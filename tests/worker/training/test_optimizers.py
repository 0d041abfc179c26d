"""Optimizers: skipped steps that change nothing, and states that are taken up bit for bit."""

import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from method.training.config import Optimization
from method.training.failures import InvalidConfig
from worker.training.optimizers import clip_norm, descend, make_optimizer

CPU = torch.device("cpu")
KINDS = ["adamw", "adafactor"]
TAKE, SKIP = torch.tensor(0.0), torch.tensor(1.0)


class NoHostReads(TorchDispatchMode):
    """Fails when a tensor's value is read, which on a GPU would wait for it."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "the host read a tensor"
        return func(*args, **(kwargs or {}))


def make(kind: str) -> tuple[list[nn.Parameter], torch.optim.Optimizer]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(4, 3), (5,), (2, 2, 2)]
    parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    wanted = Optimization(optimizer=kind, learning_rate=0.01, weight_decay=0.1)  # type: ignore[arg-type]
    return parameters, make_optimizer(parameters, wanted, CPU)


def give_gradients(parameters: list[nn.Parameter], seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def spoil_gradients(parameters: list[nn.Parameter]) -> None:
    for parameter, value in zip(
        parameters, (float("nan"), float("inf"), float("-inf")), strict=True
    ):
        parameter.grad = torch.full_like(parameter, value)


def everything(parameters: list[nn.Parameter], optimizer: torch.optim.Optimizer) -> bytes:
    """The bytes of weights and state."""
    file = BytesIO()
    torch.save([[p.detach().clone() for p in parameters], optimizer.state_dict()], file)
    return file.getvalue()


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_lowers_a_loss(kind: str) -> None:
    parameters, optimizer = make(kind)

    def loss() -> Tensor:
        return torch.stack([p.square().sum() for p in parameters]).sum()

    before = loss().item()
    for _ in range(20):
        loss().backward()
        descend(optimizer, TAKE)
        optimizer.zero_grad(set_to_none=True)
    assert loss().item() < before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spoil", [spoil_gradients, lambda p: give_gradients(p, 9)])
def test_a_skipped_step_changes_no_bit(
    kind: str, spoil: Callable[[list[nn.Parameter]], None]
) -> None:
    parameters, optimizer = make(kind)
    for seed in (1, 2):
        give_gradients(parameters, seed)
        descend(optimizer, TAKE)
    before = everything(parameters, optimizer)
    spoil(parameters)
    descend(optimizer, SKIP)
    assert everything(parameters, optimizer) == before
    give_gradients(parameters, 3)
    descend(optimizer, TAKE)
    assert everything(parameters, optimizer) != before


@pytest.mark.parametrize("kind", KINDS)
def test_with_skipped_steps_it_goes_as_without_them(kind: str) -> None:
    """Also when the very first step is skipped, and the moments are not made yet."""
    skipping, plain = make(kind), make(kind)
    for seed in (1, 2, 3):
        spoil_gradients(skipping[0])
        descend(skipping[1], SKIP)
        for parameters, optimizer in (skipping, plain):
            give_gradients(parameters, seed)
            descend(optimizer, TAKE)
    assert everything(*skipping) == everything(*plain)


def test_adamw_is_fused_and_lets_no_step_wait() -> None:
    parameters, optimizer = make("adamw")
    assert optimizer.defaults["fused"] is True
    give_gradients(parameters, 1)
    descend(optimizer, TAKE)
    give_gradients(parameters, 2)
    with NoHostReads():
        clip_norm(parameters, 1.0)
        descend(optimizer, SKIP)
        descend(optimizer, TAKE)
    with pytest.raises(AssertionError, match="host read"), NoHostReads():
        TAKE.item()


def test_adamw_is_adam_with_decoupled_decay() -> None:
    """One step from zero moments moves each weight by the learning rate, and decays it apart."""
    parameters, optimizer = make("adamw")
    before = [p.detach().clone() for p in parameters]
    give_gradients(parameters, 1)
    descend(optimizer, TAKE)
    for old, new in zip(before, parameters, strict=True):
        assert new.grad is not None
        expected = old * (1 - 0.01 * 0.1) - 0.01 * new.grad.sign()
        torch.testing.assert_close(new.detach(), expected, atol=1e-6, rtol=0)


@pytest.mark.bits
@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_state_goes_on_bit_for_bit(kind: str, tmp_path: Path) -> None:
    parameters, optimizer = make(kind)
    for seed in (1, 2):
        give_gradients(parameters, seed)
        descend(optimizer, TAKE)
    torch.save([list(parameters), optimizer.state_dict()], tmp_path / "state.pt")
    weights, state = torch.load(tmp_path / "state.pt", weights_only=True)

    resumed, again = make(kind)
    with torch.no_grad():
        for parameter, weight in zip(resumed, weights, strict=True):
            parameter.copy_(weight)
    again.load_state_dict(state)
    for seed in (3, 4):
        for some, one in ((parameters, optimizer), (resumed, again)):
            give_gradients(some, seed)
            descend(one, TAKE)
    assert everything(parameters, optimizer) == everything(resumed, again)


def test_adafactor_moves_by_the_learning_rate_whatever_the_size_of_the_weights() -> None:
    """scale_parameter and relative_step off: the first update is clipped to a mean square of 1."""
    parameters, optimizer = make("adafactor")
    before = [p.detach().clone() for p in parameters]
    give_gradients(parameters, 1)
    descend(optimizer, TAKE)
    for old, new in zip(before, parameters, strict=True):
        moved = new.detach() - old * (1 - 0.01 * 0.1)
        assert moved.square().mean().sqrt().item() == pytest.approx(0.01, rel=0.05)


def test_8_bit_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(InvalidConfig, match=r"optimization\.optimizer: .* package bitsandbytes"):
        make("adamw_8bit")


def test_8_bit_without_a_gpu_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    package, module = ModuleType("bitsandbytes"), ModuleType("bitsandbytes.optim")
    module.AdamW8bit = torch.optim.AdamW  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "bitsandbytes", package)
    monkeypatch.setitem(sys.modules, "bitsandbytes.optim", module)
    with pytest.raises(InvalidConfig, match=r"needs a GPU and this run is on cpu"):
        make("adamw_8bit")


def test_gradients_are_scaled_down_to_the_norm_but_never_up() -> None:
    parameters, _ = make("adamw")
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    length = (4 * 3 + 5 + 8) ** 0.5
    assert clip_norm(parameters, 10.0).item() == pytest.approx(length)
    assert all((p.grad == 1).all() for p in parameters if p.grad is not None)
    assert clip_norm(parameters, 2.0).item() == pytest.approx(length)
    for parameter in parameters:
        assert parameter.grad is not None
        torch.testing.assert_close(parameter.grad, torch.full_like(parameter, 2 / length))


def test_a_norm_that_is_no_number_is_returned_and_not_raised() -> None:
    parameters, _ = make("adamw")
    spoil_gradients(parameters)
    assert not torch.isfinite(clip_norm(parameters, 1.0))


def test_sharded_weights_are_clipped_and_skipped_like_whole_ones(tmp_path: Path) -> None:
    """With fsdp of one process: norm and skip are plain tensors, which a checkpoint can hold."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1
    )
    try:
        whole, sharded = nn.Linear(3, 2), nn.Linear(3, 2)
        sharded.load_state_dict(whole.state_dict())
        fully_shard(sharded, mesh=init_device_mesh("cpu", (1,)))
        optimizers = [
            make_optimizer(net.parameters(), Optimization(), CPU) for net in (whole, sharded)
        ]
        for value, skip in ((1.0, TAKE), (float("nan"), SKIP), (-2.0, TAKE)):
            norms = []
            for net, optimizer in zip((whole, sharded), optimizers, strict=True):
                net(torch.full((2, 3), value)).square().sum().backward()
                norms.append(clip_norm(net.parameters(), 1.0))
                descend(optimizer, skip)
                optimizer.zero_grad(set_to_none=True)
            assert type(norms[1]) is Tensor
            torch.testing.assert_close(norms[0], norms[1], equal_nan=True)
        for one, other in zip(whole.parameters(), sharded.parameters(), strict=True):
            assert isinstance(other, DTensor)
            assert torch.equal(one, other.full_tensor())
    finally:
        torch.distributed.destroy_process_group()

"""Sharded networks: a group of one process shows what they keep; test_processes.py has groups of two."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from worker.training.ema import Ema
from worker.training.sharding import fill, shard, share_out, whole


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x_BD: Tensor) -> Tensor:
        return torch.tanh(self.inner(x_BD))


class Network(nn.Module):
    """What diffusers' networks say of their blocks."""

    _no_split_modules = ("Block",)
    _repeated_blocks = ("Block",)

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(), Block()])
        self.out = nn.Linear(3, 2)

    def forward(self, x_BD: Tensor) -> Tensor:
        for block in self.blocks:
            x_BD = block(x_BD)
        out_BD: Tensor = self.out(x_BD)
        return out_BD


@pytest.fixture
def mesh() -> Iterator[DeviceMesh]:
    store = dist.HashStore()  # type: ignore[attr-defined]  # not in its __all__
    dist.init_process_group("gloo", rank=0, world_size=1, store=store)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.fixture
def network(mesh: DeviceMesh) -> nn.Module:
    torch.manual_seed(0)
    network = Network()
    shard(network, mesh)
    return network


def test_a_sharded_network_predicts_what_the_whole_one_does(mesh: DeviceMesh) -> None:
    network, x_BD = Network(), torch.randn(4, 3)
    expected = network(x_BD)
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    shard(network, mesh)
    assert torch.equal(network(x_BD), expected)
    assert all(isinstance(parameter, DTensor) for parameter in network.parameters())
    for name, tensor in whole(network.state_dict()).items():
        assert type(tensor) is Tensor
        assert torch.equal(tensor, weights[name])


def test_names_of_classes_stay(network: nn.Module) -> None:
    assert type(network).__name__ == "Network"
    assert {type(each).__name__ for each in network.modules()} >= {"Block", "Network"}


def test_the_next_pass_uses_weights_that_were_changed_since_the_last(network: nn.Module) -> None:
    x_BD = torch.randn(4, 3)
    ema = Ema(dict(network.named_parameters()), 0.9)
    with torch.no_grad():
        start = network(x_BD)
        for parameter in network.parameters():
            parameter.mul_(2)
        changed = network(x_BD)
        with ema.swapped():
            assert torch.equal(network(x_BD), start)
        assert torch.equal(network(x_BD), changed)
    assert not torch.equal(changed, start)


def test_whole_values_are_filled_in_in_place(network: nn.Module) -> None:
    tensor = network.state_dict()["out.weight"]
    fill(tensor, torch.arange(6.0).reshape(2, 3))
    parameter: Any = dict(network.named_parameters())["out.weight"]
    assert torch.equal(parameter.full_tensor(), torch.arange(6.0).reshape(2, 3))


def test_an_optimizer_takes_up_its_whole_state(network: nn.Module) -> None:
    parameters = list(network.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=0.1, fused=True)
    network(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    state = whole(optimizer.state_dict())
    assert type(state["state"][0]["exp_avg"]) is Tensor
    again = torch.optim.AdamW(parameters, lr=0.1, fused=True)
    again.load_state_dict(share_out(state, parameters))
    for number, values in optimizer.state_dict()["state"].items():
        taken: Any = again.state_dict()["state"][number]
        assert isinstance(taken["exp_avg"], DTensor)
        assert torch.equal(taken["exp_avg"].full_tensor(), values["exp_avg"].full_tensor())
        assert torch.equal(taken["step"], values["step"])


def test_those_who_do_not_keep_get_nothing(network: nn.Module) -> None:
    found = whole({"weights": dict(network.named_parameters()), "step": 3}, keep=False)
    assert set(found["weights"].values()) == {None}
    assert found["step"] == 3

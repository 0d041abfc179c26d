"""Layers that keep less, against torch's and diffusers' own."""

import copy
from typing import Any

import pytest
import torch
from diffusers.models.activations import GEGLU
from peft import LoraConfig, inject_adapter_in_model
from torch import Tensor, nn

from worker.training.frozen_layers import FrozenConv2d, LeanGEGLU, keep_less
from worker.training.lora_layers import LoraConv2d, use_fast_layers


def both_kinds(layer: nn.Module, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    """A layer in a network that keeps less, and the same as it was; weights are frozen."""
    plain = nn.Sequential(layer).to(dtype).requires_grad_(False)
    lean = copy.deepcopy(plain)
    keep_less(lean)
    return lean, plain


def gradient(network: nn.Module, x: Tensor) -> Tensor:
    leaf = x.clone().requires_grad_()
    network(leaf).float().square().sum().backward()
    assert leaf.grad is not None
    return leaf.grad


def kept(network: nn.Module, x: Tensor) -> int:
    """Bytes kept for the backward pass, weights left out."""
    weights = {each.untyped_storage().data_ptr() for each in network.parameters()}
    storages: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        result = network(x.clone().requires_grad_() * 1)
    assert result.requires_grad
    return sum(storages.values())


CONVOLUTIONS: list[tuple[int, dict[str, Any]]] = [
    (3, {"padding": 1}),
    (3, {"padding": 1, "stride": 2}),
    (1, {"bias": False}),
    (3, {"padding": 2, "dilation": 2, "groups": 2}),
    (3, {"padding": "same"}),
    (3, {"padding": 1, "padding_mode": "circular"}),
]


@pytest.mark.bits
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("side", "options"), CONVOLUTIONS)
def test_convolutions_are_torchs_to_the_last_bit(
    side: int, options: dict[str, Any], layout: torch.memory_format, dtype: torch.dtype
) -> None:
    torch.manual_seed(0)
    lean, plain = both_kinds(nn.Conv2d(4, 6, side, **options), dtype)
    assert type(lean[0]) is FrozenConv2d  # type: ignore[index]
    x = torch.randn(2, 4, 9, 7).to(dtype).to(memory_format=layout)
    for network in (lean, plain):
        network.to(memory_format=layout)  # type: ignore[call-overload]
    assert torch.equal(lean(x), plain(x))
    assert torch.equal(gradient(lean, x), gradient(plain, x))
    assert lean.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.bits
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_gated_units_are_diffusers_to_the_last_bit(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    lean, plain = both_kinds(GEGLU(6, 12), dtype)
    assert type(lean[0]) is LeanGEGLU  # type: ignore[index]
    x = torch.randn(2, 5, 6).to(dtype)
    assert torch.equal(lean(x), plain(x))
    assert torch.equal(gradient(lean, x), gradient(plain, x))


def test_a_frozen_convolution_keeps_nothing_and_a_gated_unit_its_projection() -> None:
    x = torch.randn(2, 4, 64, 64)
    lean, plain = both_kinds(nn.Conv2d(4, 4, 3, padding=1))
    assert (kept(lean, x), kept(plain, x)) == (0, x.numel() * 4)
    x = torch.randn(2, 64, 4)
    lean, plain = both_kinds(GEGLU(4, 16))
    assert (kept(lean, x), kept(plain, x)) == (2 * 64 * 32 * 4, 2 * 64 * (32 + 16) * 4)


def test_weights_that_learn_get_their_gradients() -> None:
    torch.manual_seed(0)
    found = []
    for network in both_kinds(nn.Conv2d(4, 6, 3)):
        network.requires_grad_()
        gradient(network, torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0)))
        found.append({name: each.grad for name, each in network.named_parameters()})
    lean, plain = found
    assert lean.keys() == plain.keys() == {"0.weight", "0.bias"}
    assert all(torch.equal(lean[name], plain[name]) for name in plain)  # type: ignore[arg-type]


def test_under_autocast_the_gradient_is_torchs() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        lean, plain = (gradient(network, x) for network in both_kinds(nn.Conv2d(4, 6, 3)))
    assert torch.equal(lean, plain)


def test_a_convolution_with_an_adapter_stays_what_it_is() -> None:
    config = LoraConfig(r=2, target_modules=["0"])
    use_fast_layers(config)
    network = nn.Sequential(nn.Conv2d(4, 6, 3), nn.Conv2d(6, 6, 3))
    inject_adapter_in_model(config, network, "theta")
    keep_less(network)
    adapted: Any = network[0]
    assert type(adapted) is LoraConv2d and type(adapted.base_layer) is nn.Conv2d
    assert type(network[1]) is FrozenConv2d

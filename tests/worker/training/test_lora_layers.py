"""The fast layers against peft's own, and against the formula."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners import lora
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.utils._python_dispatch import TorchDispatchMode

from worker.training.lora_layers import LoraConv2d, LoraLinear, use_fast_layers

ATEN: Any = torch.ops.aten
INPUTS, OUTPUTS, RANK, ALPHA = 12, 8, 4, 6.0


class Network(nn.Module):
    """Two layers, the second without a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(INPUTS, OUTPUTS)
        self.second = nn.Linear(OUTPUTS, OUTPUTS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.tanh(self.first(x)))  # type: ignore[no-any-return]


def networks(
    *, dtype: torch.dtype = torch.float64, names: tuple[str, ...] = ("theta",), **options: Any
) -> tuple[nn.Module, nn.Module]:
    """The same network with the same adapters twice: of fast layers, and of peft's."""
    torch.manual_seed(0)
    base = Network().to(dtype).requires_grad_(False)
    found = []
    for is_fast in (True, False):
        network = copy.deepcopy(base)
        for name in names:
            config = LoraConfig(
                r=RANK,
                lora_alpha=ALPHA,  # type: ignore[arg-type]  # any number works
                target_modules=["first", "second"],
                **options,
            )
            if is_fast:
                use_fast_layers(config)
            inject_adapter_in_model(config, network, name)
        torch.manual_seed(1)
        for name, parameter in network.named_parameters():
            if ".lora_" in name:
                nn.init.normal_(parameter, std=0.5)
        found.append(network)
    return found[0], found[1]


def layers(network: nn.Module) -> list[lora.Linear]:
    return [each for each in network.modules() if isinstance(each, lora.Linear)]


def compute_in(network: nn.Module, order: str) -> None:
    for layer in layers(network):
        layer.__dict__["order"] = order


def products(work: Callable[[], object]) -> list[tuple[int, ...]]:
    """Shapes of all products of matrices, each as (rows, inner, columns)."""
    found: list[tuple[int, ...]] = []

    class Noting(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if func.overloadpacket in (ATEN.mm, ATEN.addmm, ATEN.addmm_):
                left, right = args[-2:]
                found.append((left.shape[0], left.shape[1], right.shape[1]))
            return func(*args, **(kwargs or {}))

    with Noting():
        work()
    return found


def gradients(network: nn.Module, x: Tensor) -> dict[str, Tensor]:
    leaf = x.clone().requires_grad_()
    network(leaf).square().sum().backward()
    assert leaf.grad is not None
    found = {name: each.grad for name, each in network.named_parameters() if each.grad is not None}
    return {"x": leaf.grad, **found}


def test_it_learns_as_pefts_layer_does() -> None:
    fast, plain = networks()
    assert {type(each) for each in layers(fast)} == {LoraLinear}
    assert {type(each) for each in layers(plain)} == {lora.Linear}
    x = torch.randn(3, 5, INPUTS, dtype=torch.float64)
    torch.testing.assert_close(fast(x), plain(x), rtol=1e-12, atol=1e-12)
    found, expected = gradients(fast, x), gradients(plain, x)
    assert found.keys() == expected.keys()
    assert len(found) == 1 + 4, "the input, and A and B of two layers"
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-9, atol=1e-9)


def test_no_gradient_is_computed_for_what_needs_none() -> None:
    fast, _ = networks()
    layer = layers(fast)[0]
    x = torch.randn(5, INPUTS, dtype=torch.float64)
    wanted = layer(x.clone().requires_grad_()).sum()
    unwanted = layer(x).sum()
    for_input = {(5, OUTPUTS, INPUTS), (5, RANK, INPUTS)}
    assert for_input < set(products(lambda: torch.autograd.backward(wanted)))
    assert not for_input & set(products(lambda: torch.autograd.backward(unwanted)))


def test_each_order_multiplies_what_it_says() -> None:
    fast, _ = networks()
    layer = layers(fast)[0]
    x = torch.randn(400, INPUTS, dtype=torch.float64)

    def multiplied(order: str) -> set[tuple[int, ...]]:
        layer.__dict__["order"] = order
        with torch.no_grad():
            return set(products(lambda: layer(x)))

    base, down, up = (400, INPUTS, OUTPUTS), (400, INPUTS, RANK), (400, RANK, OUTPUTS)
    assert multiplied("folded") == {(OUTPUTS, RANK, INPUTS), base}
    assert multiplied("learning") == multiplied("peft") == {base, down, up}


@pytest.mark.parametrize("rows", [1, 4, 5, 400])  # added to the activations, and to the weights
def test_a_folded_adapter_changes_the_order_of_sums_alone(rows: int) -> None:
    fast, plain = networks()
    x = torch.randn(rows, INPUTS, dtype=torch.float64)
    before = {name: each.clone() for name, each in fast.named_parameters()}
    for order in ("folded", "learning"):
        compute_in(fast, order)
        with torch.no_grad():
            torch.testing.assert_close(fast(x), plain(x), rtol=1e-12, atol=1e-12)
    assert all(torch.equal(each, before[name]) for name, each in fast.named_parameters())


@pytest.mark.bits
def test_pictures_are_pefts_to_the_last_bit() -> None:
    fast, plain = networks(dtype=torch.float32)
    x = torch.randn(3, 50, INPUTS)
    with torch.no_grad():
        assert torch.equal(fast(x), plain(x))


def test_without_an_adapter_it_is_the_layer_alone() -> None:
    fast, _ = networks()
    x = torch.randn(5, INPUTS, dtype=torch.float64)
    for layer in layers(fast):
        layer.enable_adapters(False)
    first, second = layers(fast)
    expected = second.base_layer(torch.tanh(first.base_layer(x)))
    assert torch.equal(fast(x), expected)


def test_weights_of_an_adapter_may_be_more_precise_than_the_rest() -> None:
    fast, _ = networks(dtype=torch.bfloat16)
    for layer in layers(fast):
        for part in (layer.lora_A["theta"], layer.lora_B["theta"]):
            part.weight.data = part.weight.data.float()
    x = torch.randn(50, INPUTS).bfloat16()
    layer = layers(fast)[0]
    parts: Any = layer
    a, b, base = parts.lora_A["theta"].weight, parts.lora_B["theta"].weight, parts.base_layer
    exact = linear(x.float(), base.weight.float() + ALPHA / RANK * b @ a, base.bias.float())
    found = layer(x)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=0.02, atol=0.02)
    found.float().square().sum().backward()
    assert a.grad is not None and a.grad.dtype == torch.float32
    with torch.no_grad():
        assert layer(x).dtype == torch.bfloat16


def test_under_autocast_it_computes_in_autocasts_dtype() -> None:
    fast, _ = networks(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert fast(torch.randn(5, INPUTS)).dtype == torch.bfloat16


@pytest.mark.filterwarnings("ignore:`lora_bias=True` was passed")
@pytest.mark.parametrize(
    "options", [{"use_dora": True}, {"lora_bias": True}, {"lora_dropout": 0.3}]
)
def test_what_only_peft_knows_is_left_to_peft(options: dict[str, Any]) -> None:
    fast, plain = networks(dtype=torch.float32, **options)
    x = torch.randn(5, INPUTS)
    torch.manual_seed(2)
    expected = plain(x)
    torch.manual_seed(2)
    assert torch.equal(fast(x), expected)


@pytest.mark.filterwarnings("ignore:Already found a `peft_config`")
def test_two_adapters_at_once_are_left_to_peft() -> None:
    fast, plain = networks(dtype=torch.float32, names=("theta", "expert"))
    for network in (fast, plain):
        for layer in layers(network):
            layer.__dict__["_active_adapter"] = ["theta", "expert"]
    x = torch.randn(5, INPUTS)
    assert torch.equal(fast(x), plain(x))


def test_layers_that_read_the_same_input_keep_it_once() -> None:
    """peft's keep a copy each, and another one in the dtype they compute in."""
    fast, plain = networks(dtype=torch.bfloat16)
    kept = {}
    for name, network in (("fast", fast), ("plain", plain)):
        for each in layers(network)[0].parameters():
            each.data = each.data.float() if each.requires_grad else each.data
        storages: dict[int, int] = {}

        def pack(tensor: Tensor, storages: dict[int, int] = storages) -> Tensor:
            storages[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        x = torch.randn(1000, INPUTS).bfloat16()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            results = [layers(network)[0](x) for _ in range(3)]
        kept[name] = sum(storages.values())
        assert len(results) == 3
    assert kept["fast"] < 0.5 * kept["plain"], kept


class Picture(nn.Module):
    """One convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)  # type: ignore[no-any-return]


def convolutions(dtype: torch.dtype) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    base = Picture().to(dtype).requires_grad_(False)
    found = []
    for is_fast in (True, False):
        network, config = copy.deepcopy(base), LoraConfig(r=RANK, target_modules=["conv"])
        if is_fast:
            use_fast_layers(config)
        inject_adapter_in_model(config, network, "theta")
        torch.manual_seed(1)
        for name, parameter in network.named_parameters():
            if ".lora_" in name:
                nn.init.normal_(parameter, std=0.5)
        found.append(network)
    return found[0], found[1]


@pytest.mark.bits
def test_convolutions_are_pefts_to_the_last_bit() -> None:
    fast, plain = convolutions(torch.float32)
    assert type(fast.conv) is LoraConv2d and type(plain.conv) is lora.Conv2d
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(fast(x), plain(x))
    fast.conv.enable_adapters(False)
    assert torch.equal(fast(x), fast.conv.base_layer(x))


def test_convolutions_compute_in_the_dtype_of_their_input() -> None:
    """As diffusers does, which loads the adapter in the network's dtype."""
    fast, plain = convolutions(torch.bfloat16)
    parts: Any = fast.conv
    for part in (parts.lora_A["theta"], parts.lora_B["theta"]):
        part.weight.data = part.weight.data.float()
    x = torch.randn(2, 3, 8, 8).bfloat16()
    found = fast(x)
    assert torch.equal(found, plain(x))
    found.float().sum().backward()
    assert parts.lora_A["theta"].weight.grad.dtype == torch.float32

"""Guidance against a negative model (Diffusion-NPO, arXiv 2505.11245).

Classifier-free guidance steps away from what a model predicts for the empty prompt. Here that side is
predicted by another model, which was trained on swapped pairs and so paints what people like less:
negative side = base + negative + (1 - merge) * (theta - base), conditional side = theta. With adapters both
are the one shared network with other adapters on. A theta that is a network of its own takes a third network, for
as long as pictures are made.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from worker.training.adapters import Adapter, merged_copy, tuner_layers
from worker.training.backbones.weights import base_weights
from worker.training.roles import Role, Roles

Playing = Callable[[], AbstractContextManager[nn.Module]]
"""Gives the network of a side, which may be called for as long as the context is open."""


@contextmanager
def against_negative(roles: Roles, role: Role, merge: float) -> Iterator[nn.Module]:
    """Have a network play `role` with the negative as its unconditional side, without gradients.

    Pipelines call it like the network itself. `merge` (b of the paper) is how much of theta's change the
    negative side leaves out; under another role that side is base + negative alone. Afterwards theta is
    active again and every adapter as strong as before.
    """
    sides = TwoCalls if roles.backbone.family == "flux" else TwoHalves
    with roles.frozen(role) as network:
        yield sides(network, _negative_side(roles, role, 1 - merge))


class _Network(nn.Module):
    """Shows a pipeline the network's config, dtype and device as its own."""

    def __init__(self, network: nn.Module, negative: Playing) -> None:
        """`network` is on its conditional side between calls."""
        super().__init__()
        self.network = network
        self.negative = negative

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)


class TwoHalves(_Network):
    """For pipelines of UNets: they call once for both sides, the unconditional half of the batch first."""

    def forward(self, noisy_BCHW: Tensor, t: Tensor, **options: Any) -> tuple[Tensor]:
        """Predict each half with its own network."""
        count = len(noisy_BCHW)
        inputs = _halves({"sample": noisy_BCHW, "timestep": t, **options}, count)
        with self.negative() as network:
            away = network(**inputs[0])[0]
        toward = self.network(**inputs[1])[0]
        return (torch.cat([away, toward]),)


class TwoCalls(_Network):
    """For FLUX's pipeline: it calls for each side by itself and announces which by `cache_context`."""

    def __init__(self, network: nn.Module, negative: Playing) -> None:
        super().__init__(network, negative)
        self.asked = network

    def forward(self, **inputs: Any) -> Any:
        """Predict with the network of the side that is asked for."""
        return self.asked(**inputs)

    @contextmanager
    def cache_context(self, name: str, **details: Any) -> Iterator[None]:
        """What the pipeline opens around its calls, "cond" or "uncond"."""
        del details
        with self.negative() if name == "uncond" else nullcontext(self.network) as self.asked:
            yield
        self.asked = self.network


def _halves(value: Any, count: int) -> tuple[Any, Any]:
    """What of the value belongs to either half of a batch of `count`."""
    if isinstance(value, Mapping):
        halves = {key: _halves(each, count) for key, each in value.items()}
        first, second = ({key: pair[side] for key, pair in halves.items()} for side in (0, 1))
        return first, second
    if isinstance(value, Tensor) and value.dim() and len(value) == count:
        return value[: count // 2], value[count // 2 :]
    return value, value


def _negative_side(roles: Roles, role: Role, share: float) -> Playing:
    """`share` is how much of theta's change there is in it."""
    if role == "theta" and not roles.is_adapter:
        merged = _merge(roles, share)
        return lambda: nullcontext(merged)
    network = roles.players["negative"].network
    strengths: dict[Adapter, float] = {"negative": 1.0}
    if role == "theta" and share:
        strengths["theta"] = share
    return partial(_wearing, network, tuner_layers(network), strengths)


@contextmanager
def _wearing(
    network: nn.Module, layers: Sequence[Any], strengths: Mapping[Adapter, float]
) -> Iterator[nn.Module]:
    """Have a network wear these adapters, each as strong as given, and then what it wore before."""
    before = [(layer._disable_adapters, layer._active_adapter) for layer in layers]  # noqa: SLF001
    scalings = [dict(layer.scaling) for layer in layers]
    try:
        for layer in layers:
            layer._disable_adapters = False  # noqa: SLF001
            layer._active_adapter = list(strengths)  # noqa: SLF001
            for name in layer.scaling.keys() & strengths.keys():
                layer.scaling[name] *= strengths[name]
        yield network
    finally:
        for layer, (disabled, active), scaling in zip(layers, before, scalings, strict=True):
            layer._disable_adapters, layer._active_adapter = disabled, active  # noqa: SLF001
            # Not divided by the strength: that would not always give the same number back.
            layer.scaling.update(scaling)


@torch.no_grad()
def _merge(roles: Roles, share: float) -> nn.Module:
    """The negative side of a theta that is a network of its own: a third network, float32."""
    base = roles.players["negative"].network
    merged = merged_copy(base, "negative")
    start = base_weights(base)
    for name, parameter in merged.named_parameters():
        parameter.add_(share * (roles.theta[name] - start[name].float()))
    return merged.requires_grad_(False)

"""Layers with adapters, computed in fewer and larger operations than peft's own.

peft computes W x, then s B A x, then their sum, of which the scaling and the sum pass over all activations
once more and do hardly anything there. It also keeps a copy of the layer's input in the dtype it computes
in, and one more for each layer that reads the same input. Linear layers have three orders here:

* learning: s B A x is written into W x by the product itself, and its gradients the same way;
* folded: s B A is added to W for the time of one product, where that is less work than to add to the
  activations. For the expert, whose predictions are compared with nothing that another order computes;
* peft: for pictures, because diffusers has to repaint them to the last bit.

Convolutions have peft's order alone. Both kinds of layers compute in the dtype of their input, whatever the
adapter's. Names, files, and adapters that are not one plain pair of matrices stay peft's.
"""

from typing import Any, Literal

import torch
from peft import LoraConfig
from peft.tuners import lora
from torch import Tensor, nn
from torch.nn import functional

Order = Literal["peft", "learning", "folded"]


def use_fast_layers(config: LoraConfig) -> None:
    """Have peft make the layers of this module wherever it would make its own."""
    config._register_custom_module({nn.Linear: LoraLinear, nn.Conv2d: LoraConv2d})  # noqa: SLF001  # the only way in


class LoraLinear(lora.Linear):
    """peft's layer, with other orders of computing one plain adapter."""

    order: Order = "peft"
    """Set by who switches roles. With gradients it is always learning."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """W x + s B A x of the active adapter, or W x without one."""
        name = _plain_adapter(self, nn.Linear)
        if name is None or args or kwargs:
            result: Tensor = super().forward(x, *args, **kwargs)
            return result
        base: Any = self.base_layer
        a, b, scale = self.lora_A[name].weight, self.lora_B[name].weight, self.scaling[name]
        compute = _Product.apply if torch.is_grad_enabled() else ORDERS[self.order]
        device = x.device.type
        if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
            bias = base.bias if base.bias is None else base.bias.to(dtype)
            with torch.autocast(device, enabled=False):
                result = compute(
                    x.to(dtype), base.weight.to(dtype), bias, a.to(dtype), b.to(dtype), scale
                )
        else:
            result = compute(x, base.weight, base.bias, a.to(x.dtype), b.to(x.dtype), scale)
        return result


class LoraConv2d(lora.Conv2d):
    """peft's layer, computing in the dtype of its input."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """W * x + s B * (A * x) of the active adapter, or W * x without one."""
        name = _plain_adapter(self, nn.Conv2d)
        if name is None or args or kwargs:
            result: Tensor = super().forward(x, *args, **kwargs)
            return result
        convolutions: Any = (self.lora_A[name], self.lora_B[name])
        added = x
        for conv in convolutions:
            added = conv._conv_forward(added, conv.weight.to(added.dtype), None)  # noqa: SLF001  # its padding
        found: Tensor = self.base_layer(x) + added * self.scaling[name]
        return found


def _plain_adapter(layer: Any, kind: type[nn.Module]) -> str | None:
    """The one active adapter, unless the layer or the adapter is of a kind that only peft knows."""
    if layer.disable_adapters or layer.merged or len(layer.active_adapters) != 1:
        return None
    (name,) = layer.active_adapters
    is_plain = (
        # A subclass, say of quantised weights, multiplies in its own way.
        type(layer.base_layer) is kind
        and name in layer.lora_A
        and name not in layer.lora_variant
        and layer.lora_B[name].bias is None
        and isinstance(layer.lora_dropout[name], nn.Identity)
    )
    return name if is_plain else None


class _Product(torch.autograd.Function):
    """W x + bias + s B A x, with gradients for x, A and B; W and the bias are frozen."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        flat = x.reshape(-1, x.shape[-1])
        low = flat @ a.t()
        ctx.save_for_backward(flat, low, weight, a, b)
        ctx.scale, ctx.shape = scale, x.shape
        out = functional.linear(flat, weight, bias).addmm_(low, b.t(), alpha=scale)
        return out.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        flat, low, weight, a, b = ctx.saved_tensors
        grad = grad.reshape(-1, grad.shape[-1])
        grad_low = (grad @ b).mul_(ctx.scale)
        grad_a = grad_low.t() @ flat
        grad_b = (grad.t() @ low).mul_(ctx.scale)
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = (grad @ weight).addmm_(grad_low, a).view(ctx.shape)
        return grad_x, None, None, grad_a, grad_b, None


def _folded(
    x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
) -> Tensor:
    """The same without gradients, by whichever way multiplies less."""
    flat = x.reshape(-1, x.shape[-1])
    outputs, inputs = weight.shape
    if len(flat) * (outputs + inputs) > outputs * inputs:
        out = functional.linear(flat, torch.addmm(weight, b, a, alpha=scale), bias)
    else:
        out = functional.linear(flat, weight, bias).addmm_(flat @ a.t(), b.t(), alpha=scale)
    return out.view(*x.shape[:-1], -1)


def _separate(
    x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
) -> Tensor:
    """The same without gradients, in peft's order."""
    added = functional.linear(functional.linear(x, a), b) * scale
    return functional.linear(x, weight, bias) + added


ORDERS: dict[Order, Any] = {"peft": _separate, "learning": _Product.apply, "folded": _folded}

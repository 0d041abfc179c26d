"""Linear layers with adapters, computed in fewer and larger operations than peft's own.

peft computes W x, then s B A x, then their sum, of which the scaling and the sum pass over all activations
once more and do hardly anything there. It also keeps a copy of the layer's input in the dtype it computes
in, and one more for each layer that reads the same input. Here

* a layer that learns writes s B A x into W x with the product itself, and its gradients the same way;
* a frozen role in training has s B A added to W for the time of one product, where that is less work than
  to add to the activations. Nothing of it is kept, so it takes no memory;
* a picture is computed in peft's order, because diffusers has to repaint it to the last bit.

Names, files and everything about several adapters on a layer stay peft's.
"""

from typing import Any

import torch
from peft import LoraConfig
from peft.tuners import lora
from torch import Tensor, nn
from torch.nn import functional


def use_fast_layers(config: LoraConfig) -> None:
    """Have peft make the layers of this module wherever it would make its own linear ones."""
    config._register_custom_module({nn.Linear: LoraLinear})  # noqa: SLF001  # the only way in


class LoraLinear(lora.Linear):
    """peft's layer, with a faster forward pass for one plain adapter."""

    folds = False
    """Add the active adapter to the weights for the time of a product. Set by who switches roles."""

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """W x + s B A x of the active adapter, or W x without one."""
        name = self._plain_adapter()
        if name is None or args or kwargs:
            result: Tensor = super().forward(x, *args, **kwargs)
            return result
        device = x.device.type
        if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
            return self._compute(name, x)
        x = x.to(torch.get_autocast_dtype(device))
        with torch.autocast(device, enabled=False):
            return self._compute(name, x)

    def _compute(self, name: str, x: Tensor) -> Tensor:
        """Compute in the dtype of x."""
        base: Any = self.base_layer
        bias = base.bias if base.bias is None else base.bias.to(x.dtype)
        weight, a, b = (
            each.weight.to(x.dtype) for each in (base, self.lora_A[name], self.lora_B[name])
        )
        compute: Any = _folded if self.folds else _separate
        if torch.is_grad_enabled():
            compute = _Product.apply
        result: Tensor = compute(x, weight, bias, a, b, self.scaling[name])
        return result

    def _plain_adapter(self) -> str | None:
        """The one active adapter, unless it is of a kind that only peft knows."""
        if self.disable_adapters or self.merged or len(self.active_adapters) != 1:
            return None
        (name,) = self.active_adapters
        is_plain = (
            name in self.lora_A
            and name not in self.lora_variant
            and self.lora_B[name].bias is None
            and isinstance(self.lora_dropout[name], nn.Identity)
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

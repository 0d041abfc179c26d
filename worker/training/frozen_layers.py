"""Layers of a network that keep less for the backward pass than torch's and diffusers' own.

A convolution of torch keeps its input, which only the gradient of its weight needs, also where the weight is
frozen. A GEGLU of diffusers keeps the gate's GELU beside what that is computed from. Here they keep neither,
and compute the same to the last bit: a step of an adapter on SDXL holds a fifth less beside the weights.
"""

from typing import Any

import torch
from diffusers.models.activations import GEGLU
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.nn import functional


def keep_less(network: nn.Module) -> None:
    """Exchange the layers of a network in place; names, weights and files stay as they are."""
    for module in network.modules():
        if isinstance(module, BaseTunerLayer):
            continue  # what an adapter is on needs its input in any case
        for child in module.children():
            if type(child) is nn.Conv2d:
                child.__class__ = FrozenConv2d
            elif type(child) is GEGLU:
                child.__class__ = LeanGEGLU


class FrozenConv2d(nn.Conv2d):
    """A convolution that does not keep its input where its weight is frozen."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        learns = weight.requires_grad or (bias is not None and bias.requires_grad)
        is_plain = self.padding_mode == "zeros" and not isinstance(self.padding, str)
        # Autocast would convert what is computed, but not what is kept; some kernels then refuse the two.
        kind = input.device.type
        is_cast = torch.is_autocast_enabled(kind) and torch.get_autocast_dtype(kind) != input.dtype
        is_one = input.dtype == weight.dtype and not is_cast
        if input.requires_grad and not learns and is_plain and is_one:
            how = (self.stride, self.padding, self.dilation, self.groups)
            found: Tensor = _Convolution.apply(input, weight, bias, *how)
        else:
            found = super()._conv_forward(input, weight, bias)
        return found


class LeanGEGLU(GEGLU):
    """A gated GELU that computes the gate again in the backward pass."""

    def forward(self, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """One half of the projection times the GELU of the other; further arguments are of old callers."""
        del args, kwargs
        found: Tensor = _GatedGelu.apply(self.proj(hidden_states))
        return found


class _Convolution(torch.autograd.Function):
    """A convolution with gradients for its input alone."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.strides, ctx.how = x.shape, x.stride(), how
        return functional.conv2d(x, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.how
        # Nothing but its shape and layout is read.
        x = torch.empty_strided(ctx.shape, ctx.strides, dtype=grad.dtype, device=grad.device)
        wanted = (True, False, False)
        found, _, _ = torch.ops.aten.convolution_backward(
            grad, x, weight, None, stride, padding, dilation, False, [0], groups, wanted
        )
        return found, None, None, None, None, None, None


class _GatedGelu(torch.autograd.Function):
    """x gelu(gate), where x and the gate are the halves of what is given."""

    @staticmethod
    def forward(ctx: Any, both: Tensor) -> Tensor:
        ctx.save_for_backward(both)
        x, gate = both.chunk(2, -1)
        return x * functional.gelu(gate)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (both,) = ctx.saved_tensors
        x, gate = both.chunk(2, -1)
        found = torch.empty_like(both)
        of_x, of_gate = found.chunk(2, -1)
        torch.mul(grad, functional.gelu(gate), out=of_x)
        of_gate.copy_(torch.ops.aten.gelu_backward(grad * x, gate))
        return found

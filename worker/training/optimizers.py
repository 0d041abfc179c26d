"""Optimizers, and steps that can be left out without the GPU being waited for."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from method.training.config import Optimization
from method.training.failures import InvalidConfig


def make_optimizer(
    parameters: Iterable[nn.Parameter], optimization: Optimization, device: torch.device
) -> torch.optim.Optimizer:
    """Make the optimizer that the config asks for, all parameters in one group.

    Its state_dict holds tensors and plain values only and is taken up again bit for bit. Raises
    InvalidConfig when a package or a GPU is missing.
    """
    common: dict[str, Any] = {
        "lr": optimization.learning_rate,
        "weight_decay": optimization.weight_decay,
    }
    if optimization.optimizer == "adamw":
        return torch.optim.AdamW(list(parameters), fused=True, **common)
    if optimization.optimizer == "adamw_8bit":
        return _make_adamw_8bit(list(parameters), device, common)
    return _make_adafactor(list(parameters), common)


def descend(optimizer: torch.optim.Optimizer, skip: Tensor) -> None:
    """Do the optimizer's step, unless `skip` is 1: then weights, moments and step count stay as they are.

    `skip` is a float32 scalar, 0 or 1, on the parameters' device. A fused optimizer reads it there; for
    any other it is read here, which waits for the GPU once. Gradients are left as they are.
    """
    if optimizer.defaults.get("fused"):
        # The two attributes by which torch.amp.GradScaler tells a fused optimizer to leave a step out.
        optimizer.found_inf = skip  # type: ignore[attr-defined]
        optimizer.grad_scale = None  # type: ignore[attr-defined]
        optimizer.step()
    elif not skip.item():
        optimizer.step()


def clip_norm(parameters: Iterable[nn.Parameter], most: float) -> Tensor:
    """Scale the gradients down to the norm `most`, all of them as one vector.

    Returns the norm before that, as a scalar on the device that nothing has waited for. When it is not
    finite the gradients are worthless afterwards, and the step has to be left out.
    """
    norm: Tensor = nn.utils.clip_grad_norm_(list(parameters), most)
    # Of sharded parameters each process holds a part of the norm's sum.
    return norm.full_tensor() if isinstance(norm, DTensor) else norm


def _make_adamw_8bit(
    parameters: list[nn.Parameter], device: torch.device, common: dict[str, Any]
) -> torch.optim.Optimizer:
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise InvalidConfig(
            "optimization.optimizer: adamw_8bit needs the package bitsandbytes; install it, or "
            "choose adamw"
        ) from error
    if device.type != "cuda":
        raise InvalidConfig(
            f"optimization.optimizer: adamw_8bit needs a GPU and this run is on {device.type}; "
            "choose adamw"
        )
    optimizer: torch.optim.Optimizer = AdamW8bit(parameters, **common)
    return optimizer


def _make_adafactor(
    parameters: list[nn.Parameter], common: dict[str, Any]
) -> torch.optim.Optimizer:
    # Not torch's: that one scales its steps by the size of the weights, which cannot be turned off.
    from transformers.optimization import Adafactor

    return Adafactor(
        parameters,
        scale_parameter=False,
        relative_step=False,
        warmup_init=False,
        clip_threshold=1.0,
        **common,
    )

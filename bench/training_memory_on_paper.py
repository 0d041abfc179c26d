"""The memory of SDXL in full in bf16, counted on tensors that have sizes but no values.

torch's fake tensors stand for tensors on the CPU, where attention is computed as on a GPU, without keeping
its scores. Left out is what operations take and give back within themselves, and what an allocator loses.
Autocast keeps more activations in float32 on a GPU than on the CPU, so the plain loop takes more there.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from bench.training_materials import RANK, full_parts
from bench.training_memory import TensorMemory
from bench.training_on_paper import WINDOW
from method.training.config import Lora
from worker.training.adapters import (
    adapter_metadata,
    adapter_weights,
    attach_adapter,
    attach_theta,
    cast_adapter,
)
from worker.training.backbones.sdxl import SDXL
from worker.training.frozen_layers import keep_less
from worker.training.objectives.taught import CONDITIONS
from worker.training.roles import Player, Role, Roles

CPU = torch.device("cpu")


def count_memory(resolution: int, batch_size: int) -> dict[str, int]:
    """Bytes at most in a step of `batch_size` examples, of the plain loop and of CPO, by contender."""
    return {
        "baseline": _plain_loop(resolution, 2 * batch_size),
        "cold": _cpo(resolution, batch_size, is_cold=True),
        "filled": _cpo(resolution, batch_size, is_cold=False),
    }


def _plain_loop(resolution: int, rows: int) -> int:
    """Two networks, and the encoders for good; theta is asked before the reference, as in the script."""
    parts: dict[str, Any] = full_parts()
    theta = parts["unet"].to(torch.bfloat16).requires_grad_(False)
    theta.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(SDXL.lora_targets)))
    for weight in theta.parameters():
        weight.data = weight.data.float() if weight.requires_grad else weight.data
    reference = full_parts()["unet"].to(torch.bfloat16).requires_grad_(False)
    for name in ("text_encoder", "text_encoder_2"):
        parts[name].to(torch.bfloat16)
    with _counted(reference, *parts.values()) as memory:
        given = _inputs(resolution, rows)
        with torch.autocast("cpu", torch.bfloat16):
            predicted = _predict(theta, *given)
            with torch.no_grad():
                expected = _predict(reference, *given)
        torch.autograd.backward((predicted - expected).square().mean())
    return memory.peak


def _cpo(resolution: int, rows: int, *, is_cold: bool) -> int:
    """One network with theta and the expert as adapters; the encoders have left."""
    network: Any = full_parts()["unet"].to(torch.bfloat16).requires_grad_(False)
    with torch.device("meta"):
        attach_theta(network, Lora(rank=RANK), SDXL.lora_targets, seed=0)
        weights = adapter_weights(network, "theta")
        attach_adapter(network, "expert", weights, adapter_metadata(network, "theta"), "expert")
    cast_adapter(network, "expert", torch.bfloat16)
    keep_less(network)
    with _counted(network) as memory:
        # The backbone takes no part: networks are asked here.
        roles = Roles(
            None,  # type: ignore[arg-type]
            {
                "theta": Player(network, ("theta",)),
                "expert": Player(network, ("expert",)),
                "reference": Player(network),
            },
        )
        taught = []
        if is_cold:
            asked: dict[Role, int] = {"expert": len(CONDITIONS) * rows, "reference": rows}
            for role, count in asked.items():
                with roles.frozen(role, "folded"):
                    taught.append(_predict(network, *_inputs(resolution, count)))
        predicted = _predict(network, *_inputs(resolution, rows))
        torch.autograd.backward(predicted.square().mean())
    return memory.peak


@contextmanager
def _counted(*networks: nn.Module) -> Iterator[TensorMemory]:
    """Everything inside is computed on tensors without values; the networks are there before."""
    mode = FakeTensorMode()
    for network in networks:
        _make_fake(network, mode)
    with mode, TensorMemory("cpu") as memory:
        yield memory


def _make_fake(network: nn.Module, mode: FakeTensorMode) -> None:
    for module in network.modules():
        for name, weight in module.named_parameters(recurse=False):
            fake = FakeTensor(mode, weight.data, CPU)
            setattr(module, name, nn.Parameter(fake, requires_grad=weight.requires_grad))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, FakeTensor(mode, buffer, CPU))


def _inputs(resolution: int, rows: int) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    side, dtype = resolution // 8, torch.bfloat16
    added = {
        "text_embeds": torch.empty(rows, 1280, dtype=dtype),
        "time_ids": torch.empty(rows, 6, dtype=dtype),
    }
    noisy = torch.empty(rows, 4, side, side, dtype=dtype)
    return noisy, torch.empty(rows), torch.empty(rows, WINDOW, 2048, dtype=dtype), added


def _predict(
    network: Any, noisy: Tensor, t: Tensor, hidden: Tensor, added: dict[str, Tensor]
) -> Tensor:
    predicted: Tensor = network(noisy, t, hidden, added_cond_kwargs=added).sample
    return predicted.float()

"""FSDP: networks, and what training keeps of their weights, in parts: one on each process.

torch's own `fully_shard` and not accelerate's: that one takes a single network, together with an optimizer,
and none on CPUs, while runs have a frozen network beside theta's, and are tested on CPUs. A forward pass
fetches each block's weights from all processes, so all have to make the same passes, also those of frozen
roles. Checkpoints hold whole tensors, as those of runs that are not sharded do.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor


def shard(network: nn.Module, mesh: DeviceMesh) -> None:
    """Have each process keep its part of a network's weights, on the mesh's device.

    Afterwards the network has other parameters (DTensors) of the same names and shapes.
    """
    # Of FLUX's blocks; nothing changes their output in place, and with that the results are those of a
    # network that is not sharded.
    warnings.filterwarnings("ignore", message=r"FSDP2-wrapped module .* returned a view tensor")
    for module in (*_blocks(network), network):
        name = type(module).__name__
        # Also the outermost module: weights that a pass leaves behind would serve the next one, although
        # the mean of the weights is swapped in and out between the two.
        fully_shard(module, mesh=mesh, reshard_after_forward=True)
        # torch has given it a class of its own, and diffusers goes by the name: it looks for blocks to
        # compile, and writes the network's into config.json.
        type(module).__name__ = name


def whole(value: Any, *, keep: bool = True) -> Any:
    """Put together what is in parts in nested dicts and lists; everything else stays as it is.

    Of sharded tensors whole ones are made on the CPU, one by one, so all processes have to call this. Those
    that do not `keep` them get None.
    """
    if isinstance(value, DTensor):
        tensor = value.full_tensor()
        return tensor.cpu() if keep else None
    if isinstance(value, Mapping):
        return {name: whole(each, keep=keep) for name, each in value.items()}
    if isinstance(value, list):
        return [whole(each, keep=keep) for each in value]
    return value


@torch.no_grad()
def fill(tensor: Tensor, values: Tensor) -> None:
    """Copy whole values into a tensor in place; where it is sharded, this process's part of them."""
    tensor.copy_(_part_like(tensor, values))


def share_out(state: Mapping[str, Any], parameters: Sequence[nn.Parameter]) -> dict[str, Any]:
    """An optimizer's whole state as these parameters' optimizer takes it up."""
    parts = {
        index: {name: _part_like(parameters[index], each) for name, each in values.items()}
        for index, values in state["state"].items()
    }
    return {**state, "state": parts}


def _blocks(network: Any) -> Iterator[nn.Module]:
    """The blocks that a network repeats, inner ones first."""
    names = {*(network._no_split_modules or ()), *(network._repeated_blocks or ())}  # noqa: SLF001
    for module in reversed(list(network.modules())):
        if type(module).__name__ in names:
            yield module


def _part_like(tensor: Tensor, values: Any) -> Any:
    """Of values that belong to a tensor, this process's part, sharded as the tensor is."""
    if not isinstance(tensor, DTensor) or getattr(values, "shape", None) != tensor.shape:
        return values
    # No source: every process has read the values itself.
    return distribute_tensor(
        values.to(tensor.device), tensor.device_mesh, tensor.placements, src_data_rank=None
    )

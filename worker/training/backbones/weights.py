"""Weights as bytes: their hashes, and files that are the same for the same weights."""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The values of a tensor of any dtype, for hashing."""
    return tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data


def hash_weights(weights: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values, whatever file the weights stand in.

    Tensors are hashed side by side: one thread would need half a minute for the largest models.
    """

    def hash_one(name: str) -> bytes:
        tensor = weights[name]
        digest = hashlib.sha256(f"{name}\n{tensor.dtype}\n{tuple(tensor.shape)}\n".encode())
        digest.update(tensor_bytes(tensor))
        return digest.digest()

    with ThreadPoolExecutor() as pool:
        return hashlib.sha256(b"".join(pool.map(hash_one, sorted(weights)))).hexdigest()


def hash_adapter(weights: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> str:
    """SHA-256 over an adapter's weights and what they are multiplied by, which is not among them."""
    strength = {key: metadata.get(key) for key in ("r", "lora_alpha", "alpha_pattern")}
    text = f"{hash_weights(weights)}\n{json.dumps(strength, sort_keys=True)}"
    return hashlib.sha256(text.encode()).hexdigest()


def base_weights(network: nn.Module) -> dict[str, Tensor]:
    """A network's own weights by the names that files use, without the adapters attached to it."""
    return {
        name.replace(".base_layer.", "."): tensor
        for name, tensor in network.state_dict().items()
        if ".lora_" not in name
    }


def open_to_readers(path: Path) -> None:
    """Let everyone read a file who may read its folder: safetensors writes files for one user alone."""
    path.chmod(path.parent.stat().st_mode & 0o666)


def sort_header(path: Path) -> None:
    """Write a safetensors file's header in sorted order: its metadata comes in a random one, and the
    same weights must give the same file hash.
    """
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        text = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        file.seek(8)
        # Compact as before, so it fits; trailing spaces are part of the format.
        file.write(text.encode().ljust(length))

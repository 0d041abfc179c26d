"""Whole networks as `from_pretrained` of diffusers reads them: config.json beside one weights file."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from method.training.failures import InvalidConfig
from worker.training.backbones.parts import not_finite
from worker.training.backbones.weights import base_weights, open_to_readers

WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"


def write_network(folder: Path, network: Any, weights: Mapping[str, Tensor]) -> Path:
    """Write `weights` as a network of the same kind as `network` and return the weights file."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        name: value
        for name, value in json.loads(network.to_json_string()).items()
        if name != "_name_or_path"  # a folder of this machine
    }
    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / "config.json").write_text(text, encoding="utf-8")
    on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    save_file(on_cpu, folder / WEIGHTS_NAME, metadata={"format": "pt"})
    open_to_readers(folder / WEIGHTS_NAME)
    return folder / WEIGHTS_NAME


def read_network(folder: Path, network: Any) -> dict[str, Tensor]:
    """Read a network folder, or the one in a run folder.

    Raises InvalidConfig when there is none, or it does not fit `network`.
    """
    places = (folder / WEIGHTS_NAME, folder / "network" / WEIGHTS_NAME)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InvalidConfig(f"{folder}: holds no {WEIGHTS_NAME}")
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InvalidConfig(f"{path}: is not a weights file: {error}") from error
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    expected = {name: tuple(tensor.shape) for name, tensor in base_weights(network).items()}
    if found != expected:
        odd = min(name for name, _ in found.items() ^ expected.items())
        raise InvalidConfig(
            f"{path}: does not fit this model: {odd} is {found.get(odd, 'missing')} there and "
            f"{expected.get(odd, 'missing')} here"
        )
    if odd_ones := not_finite(weights):
        raise InvalidConfig(f"{path}: holds values that are not finite: {odd_ones[0]}")
    return weights

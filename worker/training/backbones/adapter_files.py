"""Adapter files as `load_lora_weights` of diffusers reads them.

ComfyUI reads them too, but takes every alpha for the rank: so runs leave adapters with their factor multiplied in
(`worker.training.adapters.folded`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor

from method.training.failures import InvalidConfig
from worker.training.backbones.parts import not_finite
from worker.training.backbones.weights import open_to_readers, sort_header

WEIGHTS_NAME = "pytorch_lora_weights.safetensors"
METADATA_KEY = "lora_adapter_metadata"
ORIGIN_KEY = "morelli_origin"


def write_adapter(
    folder: Path,
    pipeline_class: Any,
    network_name: str,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
) -> Path:
    """Write the adapter of a pipeline's network ("unet", "transformer") and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    layers = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
    known = {key: value for key, value in metadata.items() if key != "origin"}
    pipeline_class.save_lora_weights(
        folder,
        **{
            f"{network_name}_lora_layers": layers,
            f"{network_name}_lora_adapter_metadata": known,
        },
    )
    if "origin" in metadata:
        _add_origin(folder / WEIGHTS_NAME, metadata["origin"])
    sort_header(folder / WEIGHTS_NAME)
    open_to_readers(folder / WEIGHTS_NAME)
    return folder / WEIGHTS_NAME


def _add_origin(path: Path, origin: Mapping[str, Any]) -> None:
    """Put the origin into a file's metadata, where other readers pass it over."""
    content = path.read_bytes()
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata() or {})
    about[ORIGIN_KEY] = json.dumps(origin, sort_keys=True)
    path.write_bytes(save(load(content), metadata=about))


def read_adapter(folder: Path, network_name: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read an adapter folder, or the one in a run folder: weights and peft's settings.

    Raises InvalidConfig when there is none, or it belongs to another kind of network.
    """
    places = (folder / WEIGHTS_NAME, folder / "adapter" / WEIGHTS_NAME)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise InvalidConfig(f"{folder}: holds no {WEIGHTS_NAME}")
    prefix = f"{network_name}."
    try:
        with safe_open(path, framework="pt") as file:
            about = file.metadata() or {}
            metadata = json.loads(about.get(METADATA_KEY, "{}"))
            origin = json.loads(about.get(ORIGIN_KEY, "null"))
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
            weights = {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidConfig(f"{path}: is not an adapter file: {error}") from error
    settings = {
        key.removeprefix(prefix): value for key, value in metadata.items() if key.startswith(prefix)
    }
    if not weights or "r" not in settings:
        raise InvalidConfig(
            f"{path}: holds no adapter of a {network_name} written by diffusers with peft"
        )
    if odd_ones := not_finite(weights):
        raise InvalidConfig(f"{path}: holds values that are not finite: {odd_ones[0]}")
    if origin is not None:
        settings["origin"] = origin
    return weights, settings

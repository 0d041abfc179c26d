"""Adapter files as `load_lora_weights` of diffusers reads them.

ComfyUI reads them too, but takes every alpha for the rank; see worker.training.exporting.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from worker.training.backbones.weights import open_to_readers, sort_header
from worker.training.failures import InvalidConfig

WEIGHTS_NAME = "pytorch_lora_weights.safetensors"
METADATA_KEY = "lora_adapter_metadata"


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
    pipeline_class.save_lora_weights(
        folder,
        **{
            f"{network_name}_lora_layers": layers,
            f"{network_name}_lora_adapter_metadata": dict(metadata),
        },
    )
    sort_header(folder / WEIGHTS_NAME)
    open_to_readers(folder / WEIGHTS_NAME)
    return folder / WEIGHTS_NAME


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
            metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
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
    return weights, settings

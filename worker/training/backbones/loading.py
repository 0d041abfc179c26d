"""From a path or a hub id to a backbone."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.utils.logging import disable_progress_bar
from huggingface_hub import hf_hub_download
from transformers.utils import logging as transformers_logging

from worker.training.backbones import Backbone
from worker.training.backbones.flux import FlowOptions, Flux
from worker.training.backbones.sd15 import SD15
from worker.training.backbones.sdxl import SDXL
from worker.training.config import Model
from worker.training.failures import InvalidConfig

KINDS: dict[str, type[SD15 | SDXL | Flux]] = {
    kind.pipeline_class.__name__: kind for kind in (SD15, SDXL, Flux)
}
WEIGHTS_STEMS = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}


def load_backbone(
    model: Model, flow: FlowOptions, device: torch.device, dtype: torch.dtype
) -> Backbone:
    """Load from a folder in diffusers layout or from the local hub cache; nothing is downloaded.

    Raises InvalidConfig("model.path: ...") that says what is missing and how to get it.
    """
    disable_progress_bar()
    transformers_logging.disable_progress_bar()
    folder = _find_folder(model)
    index = _read_index(folder, model)
    kind = KINDS.get(str(index.get("_class_name")))
    if kind is None:
        raise InvalidConfig(
            f"model.path: {model.path} is a {index.get('_class_name')}; Morelli trains "
            f"{', '.join(KINDS)}"
        )
    _check_complete(folder, index, kind, model)
    return make_backbone(_load_pipeline(folder, kind, model, dtype), flow, device, dtype)


def make_backbone(
    pipeline: Any, flow: FlowOptions, device: torch.device, dtype: torch.dtype
) -> Backbone:
    """Take apart a pipeline of one of the known classes. Raises InvalidConfig for odd networks."""
    kind = KINDS[type(pipeline).__name__]
    if issubclass(kind, Flux):
        return kind(pipeline, device, dtype, flow)
    return kind(pipeline, device, dtype)


def _find_folder(model: Model) -> Path:
    """The model's folder: the path itself, or where the hub cache keeps that revision."""
    if Path(model.path).is_dir():
        return Path(model.path)
    try:
        index = hf_hub_download(
            model.path, "model_index.json", revision=model.revision, local_files_only=True
        )
    except (OSError, ValueError) as error:
        raise InvalidConfig(
            f"model.path: {model.path} is neither a folder nor in the local hub cache. Morelli "
            f"downloads nothing; for a hub id, run: {_download_command(model)}"
        ) from error
    return Path(index).parent


def _read_index(folder: Path, model: Model) -> dict[str, Any]:
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidConfig(
            f"model.path: {model.path} holds no model_index.json, so it is no model in diffusers "
            "layout; a single .safetensors file must be converted first"
        ) from None
    except (OSError, ValueError) as error:
        raise InvalidConfig(f"model.path: {path} cannot be read: {error}") from error
    if not isinstance(index, dict):
        raise InvalidConfig(f"model.path: {path} is not the index of a model")
    return index


def _check_complete(
    folder: Path, index: dict[str, Any], kind: type[SD15 | SDXL | Flux], model: Model
) -> None:
    """Name the files that a download left out, before a loader fails on the first of them."""
    tokenizers = [name.replace("text_encoder", "tokenizer") for name in kind.text_parts]
    missing = [f"{name}/" for name in (*tokenizers, "scheduler") if not (folder / name).is_dir()]
    for name in (kind.network_name, "vae", *kind.text_parts):
        library = (index.get(name) or [None])[0]
        stem = WEIGHTS_STEMS.get(str(library), WEIGHTS_STEMS["diffusers"])
        missing += [f"{name}/{file}" for file in _missing_files(folder / name, stem, model.variant)]
    if not missing:
        return
    raise InvalidConfig(
        f"model.path: {model.path} is not complete: {', '.join(missing)} missing"
        f"{_variant_hint(folder / kind.network_name, model)}. Morelli downloads nothing; for a hub "
        f"id, run: {_download_command(model)}"
    )


def _missing_files(place: Path, stem: str, variant: str | None) -> list[str]:
    """Which of a network's files are not there: its config, and its weights whole or in shards."""
    missing = [] if (place / "config.json").is_file() else ["config.json"]
    # diffusers falls back on the plain files where a part has none of the variant.
    for dot in [f".{variant}", ""] if variant else [""]:
        index = place / f"{stem}.safetensors.index{dot}.json"
        if (place / f"{stem}{dot}.safetensors").is_file():
            return missing
        if index.is_file():
            shards = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
            return missing + sorted(shard for shard in shards if not (place / shard).is_file())
    return [*missing, f"{stem}{f'.{variant}' if variant else ''}.safetensors"]


def _variant_hint(place: Path, model: Model) -> str:
    found = sorted(
        {
            path.name.split(".")[1].split("-")[0]
            for path in place.glob("diffusion_pytorch_model.*.safetensors")
        }
    )
    if model.variant or not found:
        return ""
    return f" (there are weights of the variant {found[0]}: set model.variant to use them)"


def _download_command(model: Model) -> str:
    return f"hf download {model.path}{f' --revision {model.revision}' if model.revision else ''}"


def _load_pipeline(
    folder: Path, kind: type[SD15 | SDXL | Flux], model: Model, dtype: torch.dtype
) -> Any:
    try:
        return kind.pipeline_class.from_pretrained(
            folder,
            variant=model.variant,
            dtype={"vae": torch.float32, "default": dtype},
            local_files_only=True,
            use_safetensors=True,
            **kind.unused_parts,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InvalidConfig(f"model.path: {model.path} cannot be loaded: {reason}") from error

"""From a path or a hub id to a backbone."""

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.utils.logging import disable_progress_bar
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HFValidationError
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
    if Path(model.path).is_file():
        raise InvalidConfig(
            f"model.path: {model.path} is a file; Morelli reads folders in diffusers layout. Load it "
            "with from_single_file of diffusers and write the folder with save_pretrained"
        )
    try:
        index = hf_hub_download(
            model.path, "model_index.json", revision=model.revision, local_files_only=True
        )
    except HFValidationError:
        raise InvalidConfig(f"model.path: there is no folder {model.path}") from None
    except (OSError, ValueError) as error:
        raise InvalidConfig(
            f"model.path: {model.path} is neither a folder nor in the local hub cache. "
            f"{_how_to_get(model)}"
        ) from error
    return Path(index).parent


def _read_index(folder: Path, model: Model) -> dict[str, Any]:
    path = folder / "model_index.json"
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InvalidConfig(
            f"model.path: {model.path} holds no model_index.json, so it is no model in diffusers "
            "layout"
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
        f"{_variant_hint(folder / kind.network_name, model)}. {_how_to_get(model)}"
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
            return missing + [name for name in _shards(index) if not (place / name).is_file()]
    return [*missing, f"{stem}{f'.{variant}' if variant else ''}.safetensors"]


def _shards(index: Path) -> list[str]:
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidConfig(f"model.path: {index} is not an index of weights: {error!r}") from error


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


def _how_to_get(model: Model) -> str:
    if Path(model.path).is_dir():
        return "Copy the missing files into the folder"
    revision = f" --revision {model.revision}" if model.revision else ""
    return f"Morelli downloads nothing; to get it, run: hf download {model.path}{revision}"


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

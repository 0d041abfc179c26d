"""From a path or a hub id to a backbone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.utils.logging import disable_progress_bar
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HFValidationError
from transformers.utils import logging as transformers_logging

from method.training.config import Model
from method.training.failures import InvalidConfig
from worker.training.backbones import Backbone
from worker.training.backbones.flux import FlowOptions, Flux
from worker.training.backbones.parts import (
    UNLOADABLE,
    Places,
    check_class,
    check_scheduler,
    check_tokenizer,
    load_part,
    refuse_pointers,
)
from worker.training.backbones.sd15 import SD15
from worker.training.backbones.sdxl import SDXL

KINDS: dict[str, type[SD15 | SDXL | Flux]] = {
    kind.pipeline_class.__name__: kind for kind in (SD15, SDXL, Flux)
}
OTHERS: dict[str, Callable[[Path, torch.device, torch.dtype], Backbone]] = {}
"""What loads models that are no pipelines of diffusers, by the class in their index. Who brings such a model
enters it here before a run: bench/miniature does."""


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
    name = str(index.get("_class_name"))
    if name in OTHERS:
        return OTHERS[name](folder, device, dtype)
    kind = KINDS.get(name)
    if kind is None:
        raise InvalidConfig(
            f"model.path: {model.path} is a {name}; Morelli trains {', '.join(KINDS)}"
        )
    places = Places(folder, model.variant, model.path)
    _check_complete(places, index, kind, model)
    return make_backbone(_load_pipeline(places, index, kind, dtype), flow, device, dtype)


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
    refuse_pointers([path])
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
    places: Places, index: dict[str, Any], kind: type[SD15 | SDXL | Flux], model: Model
) -> None:
    """Name the files that a download left out, before a loader fails on the first of them."""
    tokenizers = [name.replace("text_encoder", "tokenizer") for name in kind.text_parts]
    folder = places.folder
    missing = [f"{name}/" for name in tokenizers if not (folder / name).is_dir()]
    if not (folder / "scheduler" / "scheduler_config.json").is_file():
        missing.append("scheduler/scheduler_config.json")
    hints = set()
    for name in kind.part_classes:
        library = library_of(kind, name)
        missing += places.missing(name, library)
        hints |= places.hints(name, library)
    if missing:
        hint = f" ({'; '.join(sorted(hints))})" if hints else ""
        raise InvalidConfig(
            f"model.path: {model.path} is not complete: {', '.join(missing)} missing{hint}. "
            f"{_how_to_get(model)}"
        )
    refuse_pointers(
        path for name in (*tokenizers, "scheduler") for path in (folder / name).iterdir()
    )
    for name, classes in kind.part_classes.items():
        check_class(places, index, name, classes)
    check_scheduler(places, is_flow=issubclass(kind, Flux))


def library_of(kind: type[SD15 | SDXL | Flux], name: str) -> str:
    return "transformers" if name in kind.text_parts else "diffusers"


def _how_to_get(model: Model) -> str:
    if Path(model.path).is_dir():
        return "Copy the missing files into the folder"
    revision = f" --revision {model.revision}" if model.revision else ""
    return f"Morelli downloads nothing; to get it, run: hf download {model.path}{revision}"


def _load_pipeline(
    places: Places, index: dict[str, Any], kind: type[SD15 | SDXL | Flux], dtype: torch.dtype
) -> Any:
    """Each part by itself, so that each can be asked what it was loaded from, and then the whole."""
    parts: dict[str, Any] = {}
    for name, classes in kind.part_classes.items():
        part_class = next(each for each in classes if each.__name__ == index[name][1])
        precision = torch.float32 if name == "vae" else dtype
        parts[name] = load_part(places, name, part_class, library_of(kind, name), precision)
    try:
        pipeline = kind.pipeline_class.from_pretrained(
            places.folder, local_files_only=True, **parts, **kind.unused_parts
        )
    except UNLOADABLE as error:
        reason = " ".join(str(error).split())[:600]
        raise InvalidConfig(f"model.path: {places.shown} cannot be loaded: {reason}") from error
    for name in kind.text_parts:
        tokenizer = name.replace("text_encoder", "tokenizer")
        check_tokenizer(places.shown, tokenizer, getattr(pipeline, tokenizer), parts[name])
    return pipeline

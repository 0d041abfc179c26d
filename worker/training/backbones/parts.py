"""The one door through which the parts of a base model come in: each is asked what it was loaded from.

Libraries draw at random what a weights file does not hold, and pass over what they do not know. A run on
such a part would look like any other, so here all of it is told, part by part, before any work.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from method.training.failures import InvalidConfig

STEMS = {"diffusers": "diffusion_pytorch_model", "transformers": "model"}
PICKLED = {"diffusers": "diffusion_pytorch_model*.bin", "transformers": "pytorch_model*.bin"}
LFS = b"version https://git-lfs"
UNLOADABLE = (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError, ImportError)
# A whole CLIP is more than its text side, which stands in it complete.
MORE_OF_CLIP = re.compile(r"(vision_model\.|visual_projection\.|text_projection\.|logit_scale$)")
ENDLESS = 1_000_000
"""What a tokenizer has for a length that nobody set is larger."""
LEAST_SHARE = 0.9
"""Of an encoder's tokens, a tokenizer of the same model knows at least so many."""


class Places:
    """Where a model's parts lie. `shown` is what the person calls the model."""

    def __init__(self, folder: Path, variant: str | None, shown: str) -> None:
        self.folder, self.variant, self.shown = folder, variant, shown

    def missing(self, name: str, library: str) -> list[str]:
        """Which of a network's files are not there: its config, and its weights whole or in shards."""
        place = self.folder / name
        config = [] if (place / "config.json").is_file() else [f"{name}/config.json"]
        if self._weights(name, library) is not None:
            return config + [
                f"{name}/{path.name}" for path in self.weights(name, library) if not path.is_file()
            ]
        dot = f".{self.variant}" if self.variant else ""
        return [*config, f"{name}/{STEMS[library]}{dot}.safetensors"]

    def hints(self, name: str, library: str) -> set[str]:
        """What else lies where a part's weights are missing, and what to do with it."""
        place = self.folder / name
        found: set[str] = set()
        if self._weights(name, library) is not None:
            return found
        for path in place.glob(f"{STEMS[library]}.*.safetensors"):
            variant = path.name.split(".")[1].split("-of-")[0].rpartition("-")
            word = variant[0] or variant[2]
            found.add(f"there are weights of the variant {word}: set model.variant to use them")
        if any(place.glob(PICKLED[library])):
            found.add(
                f"{name}/ holds .bin files, which can run code and are not opened: load the model with "
                "diffusers and write it with save_pretrained(FOLDER, safe_serialization=True)"
            )
        if not found and any(place.glob("*.gguf")):
            found.add(f"{name}/ holds GGUF files, which cannot be trained")
        return found

    def weights(self, name: str, library: str) -> list[Path]:
        """The files of a part's weights, also those that an index names and that are not there."""
        path = self._weights(name, library)
        if path is None or path.suffix == ".safetensors":
            return [path] if path else []
        return [path.parent / shard for shard in _shards(path)]

    def variant_of(self, name: str, library: str) -> str | None:
        """The variant a part is loaded from: the plain files stand in where it has none of its own."""
        path = self._weights(name, library)
        is_own = self.variant is not None and path is not None and f".{self.variant}." in path.name
        return self.variant if is_own else None

    def _weights(self, name: str, library: str) -> Path | None:
        place, stem = self.folder / name, STEMS[library]
        for dot in [f".{self.variant}", ""] if self.variant else [""]:
            for file in (f"{stem}{dot}.safetensors", f"{stem}.safetensors.index{dot}.json"):
                if (place / file).is_file():
                    return place / file
        return None


def _shards(index: Path) -> list[str]:
    _refuse_pointer(index)
    try:
        return sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidConfig(f"model.path: {index} is not an index of weights: {error!r}") from error


def check_class(
    places: Places, index: Mapping[str, Any], name: str, classes: Collection[type]
) -> None:
    """Refuse a part of another class than the backbone computes with. Raises InvalidConfig."""
    wanted = [each.__name__ for each in classes]
    entry = index.get(name)
    listed = entry[1] if isinstance(entry, list) and len(entry) == 2 else entry
    config = _read_config(places.folder / name / "config.json")
    found = config.get("_class_name")
    kinds = {getattr(getattr(each, "config_class", None), "model_type", None) for each in classes}
    kind = config.get("model_type")
    if listed not in wanted:
        odd = f"{listed} in model_index.json"
    elif found is not None and found not in wanted:
        odd = f"{found} in {name}/config.json"
    elif kind is not None and kind.removesuffix("_text_model") not in {
        str(each).removesuffix("_text_model") for each in kinds
    }:
        odd = f"of the type {kind} in {name}/config.json"
    else:
        return
    raise InvalidConfig(
        f"model.path: {name} of {places.shown} is {odd}; this kind of model is trained with "
        f"{' or '.join(wanted)}. Put the {name} of the original model there"
    )


def load_part(
    places: Places, name: str, part_class: Any, library: str, dtype: torch.dtype
) -> nn.Module:
    """Load a part and make sure that all of it came from its file. Raises InvalidConfig naming part and tensors."""
    for path in places.weights(name, library):
        check_weights_file(path)
    options = {"dtype": dtype} if library == "transformers" else {"torch_dtype": dtype}
    try:
        part, found = part_class.from_pretrained(
            places.folder / name,
            variant=places.variant_of(name, library),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except UNLOADABLE as error:
        reason = " ".join(str(error).split())[:600]
        raise InvalidConfig(
            f"model.path: {name} of {places.shown} cannot be loaded: {reason}. Its config and its weights "
            "have to be of one model"
        ) from error
    # Of shards diffusers tells nothing: what none of them held has no values yet.
    empty = [each for each, tensor in part.state_dict().items() if tensor.is_meta]
    _refuse_other_tensors(places, name, {**found, "missing_keys": [*found["missing_keys"], *empty]})
    odd = not_finite(part.state_dict())
    if odd:
        raise InvalidConfig(
            f"model.path: {name} of {places.shown} holds values that are not finite: {_some(odd)}. Get "
            "its weights anew"
        )
    loaded: nn.Module = part
    return loaded


def _refuse_other_tensors(places: Places, name: str, found: Mapping[str, Any]) -> None:
    missing = sorted(set(_names(found.get("missing_keys"))))
    odd = [each for each in sorted(_names(found.get("mismatched_keys"))) if each not in missing]
    unknown = [
        each
        for each in sorted(_names(found.get("unexpected_keys")))
        if not MORE_OF_CLIP.match(each.removeprefix("text_model."))
    ]
    told = [
        f"{what} {_some(names)}"
        for what, names in (
            ("its weights file lacks", missing),
            ("of another shape than its config says:", odd),
            ("its weights file holds what its config does not know:", unknown),
        )
        if names
    ]
    if told:
        raise InvalidConfig(
            f"model.path: {name} of {places.shown} is not whole: {'; '.join(told)}. Get config and weights "
            "of this part anew from one and the same model"
        )


def _names(keys: Any) -> Iterator[str]:
    """Names of tensors, as the libraries tell them: alone or with two shapes."""
    for each in keys or ():
        yield each if isinstance(each, str) else str(each[0])


def _some(names: Collection[str]) -> str:
    first = ", ".join(sorted(names)[:3])
    return first if len(names) <= 3 else f"{first} and {len(names) - 3} more"


def not_finite(weights: Mapping[str, torch.Tensor]) -> list[str]:
    """The names of tensors with a value that is not a number or infinite."""
    return [
        name
        for name, tensor in weights.items()
        if tensor.is_floating_point() and not bool(tensor.isfinite().all())
    ]


def check_weights_file(path: Path) -> None:
    """Refuse a safetensors file that is cut short, a pointer, or something else. Raises InvalidConfig."""
    _refuse_pointer(path)
    try:
        with safe_open(path, framework="pt"):
            return
    except (SafetensorError, OSError, ValueError) as error:
        raise InvalidConfig(
            f"model.path: {path} is not a weights file, or cut short ({error}); copy or download it again"
        ) from error


def refuse_pointers(paths: Iterable[Path]) -> None:
    """Refuse what git left in place of files it did not fetch. Raises InvalidConfig."""
    for path in paths:
        if path.is_file():
            _refuse_pointer(path)


def _refuse_pointer(path: Path) -> None:
    try:
        with path.open("rb") as file:
            is_pointer = file.read(len(LFS)) == LFS
    except OSError as error:
        raise InvalidConfig(
            f"model.path: {path} cannot be read: {error.strerror or error}"
        ) from error
    if is_pointer:
        raise InvalidConfig(
            f"model.path: {path} is a pointer that git left in place of the file; run `git lfs pull` in its folder"
        )


def _read_config(path: Path) -> dict[str, Any]:
    _refuse_pointer(path)
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidConfig(f"model.path: {path} cannot be read: {error}") from error
    if not isinstance(config, dict):
        raise InvalidConfig(f"model.path: {path} is not the config of a network")
    return config


def refuse_other_width(giver: str, gives: int, taker: str, takes: int) -> None:
    """Refuse parts of different models, of which one gives other numbers than the next takes."""
    if gives != takes:
        raise InvalidConfig(
            f"model.path: {giver} of this model gives {gives} numbers a token, and {taker} takes {takes}: they "
            "are of different models"
        )


def check_scheduler(places: Places, *, is_flow: bool) -> None:
    """Refuse a scheduler's config of the other kind, or one that leaves the noise schedule out: libraries
    would go on with a schedule that nobody chose. Raises InvalidConfig.
    """
    path = places.folder / "scheduler" / "scheduler_config.json"
    config = _read_config(path)
    name = str(config.get("_class_name"))
    if is_flow != name.startswith("FlowMatch"):
        raise InvalidConfig(
            f"model.path: its scheduler is {name} (scheduler/scheduler_config.json), which "
            f"{'is not made' if is_flow else 'is made'} for flow matching as this model is "
            f"{'' if is_flow else 'not '}trained. Put the scheduler of the original model there"
        )
    lacking = [
        each
        for each in ("beta_schedule", "beta_start", "beta_end")
        if not is_flow and config.get("trained_betas") is None and each not in config
    ]
    if lacking:
        raise InvalidConfig(
            f"model.path: its scheduler {name} has no DDPM noise schedule (scheduler/scheduler_config.json "
            f"has no {', '.join(lacking)}); Morelli does not train such models"
        )


# Tokenizers ---------------------------------------------------------------------------------------


def check_tokenizer(shown: str, name: str, tokenizer: Any, encoder: Any) -> None:
    """Make sure that a tokenizer speaks its encoder's tokens, in windows that the encoder has places for.

    One that says no length gets the encoder's. Raises InvalidConfig.
    """
    beginning = f"model.path: {name} of {shown}"
    rows = int(encoder.get_input_embeddings().weight.shape[0])
    ids = tokenizer.get_vocab().values()
    most = max(ids, default=-1) + 1
    if most > rows or len(ids) < LEAST_SHARE * rows:
        raise InvalidConfig(
            f"{beginning} knows {len(ids)} tokens up to number {most - 1}, and its text encoder "
            f"{rows}: they are of different models, or the vocabulary is not whole. Put the tokenizer of the "
            "encoder's model there"
        )
    positions = getattr(encoder.config, "max_position_embeddings", None)
    needed = ["eos_token_id", "pad_token_id"] + (["bos_token_id"] if positions else [])
    lacking = [each.removesuffix("_id") for each in needed if getattr(tokenizer, each) is None]
    if lacking:
        raise InvalidConfig(
            f"{beginning} names no {', '.join(lacking)}; its special_tokens_map.json or "
            "tokenizer_config.json is not whole"
        )
    if positions is None:
        return
    if tokenizer.model_max_length > ENDLESS:
        tokenizer.model_max_length = positions
    if not 3 <= tokenizer.model_max_length <= positions:
        raise InvalidConfig(
            f"{beginning} has windows of {tokenizer.model_max_length} tokens (model_max_length) where its text "
            f"encoder has {positions} positions; set it to {positions} in {name}/tokenizer_config.json"
        )

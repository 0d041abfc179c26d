"""The options of a training run as the launch form and the API take them.

What they are, their ranges and their meaning stand in `training_schema.json`, which is written from the
config classes of `worker.training`; the presets stand beside it. `python -m worker.presets` writes both.
"""

import json
import math
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.database import Json
from app.errors import Invalid

HERE = Path(__file__).resolve().parent

# Decided by what is chosen (dataset, expert, base model, kind) or by where this installation keeps things.
DECIDED_ELSEWHERE = {
    "run_folder",
    "dataset_folder",
    "expert",
    "model.path",
    "objective.kind",
    "data.cache_folder",
}
# Options that only some kinds of run read; all others concern every run.
ONLY_FOR = {
    "objective.omega_w": ("cpo", "cpo_s"),
    "objective.omega_l": ("cpo", "cpo_s"),
    "objective.beta": ("cpo", "cpo_s"),
    "objective.empty_neg": ("cpo", "cpo_s"),
    "objective.margin": ("cpo_s",),
    "objective.drop_all": ("sft",),
    "objective.drop_to_neg": ("sft",),
}
MAIN = (
    "optimization.epochs",
    "optimization.max_steps",
    "optimization.batch_size",
    "optimization.learning_rate",
    "objective.beta",
    "objective.omega_w",
    "objective.omega_l",
    "lora.rank",
    "data.resolution",
    "seed",
    "checkpoints.every",
    "samples.every",
    "samples.prompts",
)
# Titles that say enough without the section they stand in.
TITLES = {
    "lora.rank": "Adapter rank",
    "checkpoints.every": "Checkpoint every … steps",
    "samples.every": "Sample every … steps",
    "samples.prompts": "Sample prompts",
}
# Where the launch does more than the trainer by itself.
HINTS = {
    "samples.prompts": "Prompts to sample. Empty: four of the validation and test images.",
}


class InvalidOptions(Invalid):
    """Some options make no sense; `errors` has a sentence for each, by dotted path."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        first, sentence = next(iter(errors.items()))
        super().__init__(
            f"{first}: {sentence}",
            field=first,
            problems=[{"where": where, "message": message} for where, message in errors.items()],
        )
        self.errors = dict(errors)


@dataclass(frozen=True)
class Option:
    """One option: its dotted path, and its part of the schema."""

    path: str
    schema: Mapping[str, Any]

    @property
    def title(self) -> str:
        """Its name for people."""
        return TITLES.get(self.path) or str(self.schema["title"])

    @property
    def hint(self) -> str:
        """What it does."""
        return HINTS.get(self.path) or str(self.schema.get("description", ""))

    @property
    def kind(self) -> str:
        """integer, number, boolean, string or array."""
        found = self.schema["type"]
        return str(found[0] if isinstance(found, list) else found)

    @property
    def may_be_empty(self) -> bool:
        """Whether null is a value."""
        return isinstance(self.schema["type"], list)

    @property
    def choices(self) -> tuple[str, ...]:
        """The allowed words, where only some are."""
        return tuple(self.schema.get("enum", ()))

    @property
    def section(self) -> str:
        """The part of the config it stands in; empty at the top."""
        return self.path.rpartition(".")[0]

    def concerns(self, kind: str) -> bool:
        """Whether runs of this kind read it."""
        return kind in ONLY_FOR.get(self.path, (kind,))


@lru_cache
def schema() -> Json:
    """The JSON Schema of a run's config."""
    loaded: Json = json.loads((HERE / "training_schema.json").read_text(encoding="utf-8"))
    return loaded


@lru_cache
def _presets() -> Json:
    loaded: Json = json.loads((HERE / "training_presets.json").read_text(encoding="utf-8"))
    return loaded


def presets() -> dict[str, str]:
    """The presets, as names with titles."""
    return {name: preset["title"] for name, preset in _presets().items()}


def preset_config(name: str, kind: str) -> Json:
    """A preset's config for a kind of run, without places. Raises Invalid."""
    preset = _presets().get(name)
    if preset is None:
        raise Invalid(
            f"There is no preset “{name}”; there is {', '.join(_presets())}.", field="preset"
        )
    config: Json = deepcopy(preset["configs"][kind])
    return config


def preset_model(name: str) -> str:
    """The base model that a preset is made for."""
    return str(_presets()[name]["base_model"])


@lru_cache
def options() -> dict[str, Option]:
    """Every option a person may choose, by dotted path, in the config's order."""
    return {path: Option(path, part) for path, part in _walk(schema(), "")}


def _walk(part: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, inner in part["properties"].items():
        path = f"{prefix}{name}"
        if inner["type"] == "object":
            yield from _walk(inner, f"{path}.")
        elif path not in DECIDED_ELSEWHERE:
            yield path, inner


def defaults() -> Json:
    """The config of the schema's defaults, without places."""
    config: Json = {}
    for path, option in options().items():
        put(config, path, deepcopy(option.schema.get("default")))
    return config


def get(config: Mapping[str, Any], path: str, otherwise: Any = None) -> Any:
    """The value at a dotted path."""
    value: Any = config
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return otherwise
        value = value[name]
    return value


def put(config: Json, path: str, value: Any) -> None:
    """Set the value at a dotted path, making the parts on the way."""
    *parts, last = path.split(".")
    for name in parts:
        config = config.setdefault(name, {})
    config[last] = value


def in_order(config: Mapping[str, Any]) -> Json:
    """The config with its options in the schema's order: the database keeps none."""
    return _in_order(config, schema())


def _in_order(values: Mapping[str, Any], part: Mapping[str, Any]) -> Json:
    known = part.get("properties", {})
    names = [*(name for name in known if name in values), *sorted(values.keys() - known.keys())]
    return {
        name: _in_order(values[name], known.get(name, {}))
        if isinstance(values[name], Mapping)
        else values[name]
        for name in names
    }


def check_options(given: Mapping[str, object]) -> Json:
    """Check options by dotted path, given as JSON values or as typed text; returns the typed values.

    Raises InvalidOptions with a sentence for every one that is wrong.
    """
    values: Json = {}
    errors: dict[str, str] = {}
    for path, value in given.items():
        option = options().get(path)
        if option is None:
            errors[path] = (
                "This is chosen elsewhere."
                if path in DECIDED_ELSEWHERE
                else "There is no such option."
            )
            continue
        try:
            values[path] = _read(option.schema, value)
        except ValueError as error:
            errors[path] = str(error)
    if errors:
        raise InvalidOptions(errors)
    return values


def check_together(config: Mapping[str, Any], kind: str) -> None:
    """What no single option can tell. Raises InvalidOptions."""
    errors = {}
    if get(config, "lora.alpha") is not None and get(config, "lora.scaling") is not None:
        errors["lora.scaling"] = "Give alpha or scaling, not both."
    dropped = get(config, "objective.drop_all", 0) + get(config, "objective.drop_to_neg", 0)
    if kind == "sft" and dropped > 1:
        errors["objective.drop_to_neg"] = "Together with drop all this is more than 1."
    if errors:
        raise InvalidOptions(errors)


def typed_options(form: Mapping[str, Any]) -> Json:
    """The options of a submitted form: what is left empty takes its default."""
    return {
        path: text for path in options() if isinstance(text := form.get(path), str) and text.strip()
    }


def as_text(value: object) -> str:
    """A value as a form field shows it; lists have one item a line."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case float():
            return f"{value:g}" if float(f"{value:g}") == value else repr(value)
        case list() | tuple():
            return "\n".join(as_text(each) for each in value)
    return str(value)


def _read(part: Mapping[str, Any], value: object) -> Any:
    kinds = part["type"] if isinstance(part["type"], list) else [part["type"]]
    if value is None:
        if "null" in kinds:
            return None
        raise ValueError("Please fill this in.")
    readers = {
        "integer": _read_integer,
        "number": _read_number,
        "boolean": _read_boolean,
        "string": _read_string,
    }
    if kinds[0] == "array":
        return _read_list(part, value)
    read = readers[kinds[0]](value)
    if "enum" in part and read not in part["enum"]:
        raise ValueError(f"This has to be one of {', '.join(part['enum'])}.")
    _check_bounds(part, read)
    return read


def _read_integer(value: object) -> int:
    sentence = "This has to be a whole number."
    if isinstance(value, str):
        try:
            return int(value.strip())
        except ValueError:
            raise ValueError(sentence) from None
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(sentence)


def _read_number(value: object) -> float:
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise ValueError("This has to be a number.")


def _read_boolean(value: object) -> bool:
    words = {"true": True, "false": False, True: True, False: False}
    if not isinstance(value, bool | str) or value not in words:
        raise ValueError("This has to be true or false.")
    return words[value]


def _read_string(value: object) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise ValueError("This has to be text.")
    return value.strip()


def _read_list(part: Mapping[str, Any], value: object) -> list[Any]:
    if isinstance(value, str):
        value = [line.strip() for line in value.splitlines() if line.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError("This has to be a list.")
    if len(value) < part.get("minItems", 0):
        raise ValueError(f"Please give at least {part['minItems']}.")
    if len(value) > part.get("maxItems", math.inf):
        raise ValueError(f"Please give at most {part['maxItems']}.")
    read = []
    for number, each in enumerate(value, start=1):
        try:
            read.append(_read(part["items"], each))
        except ValueError as error:
            raise ValueError(f"Number {number}: {error}") from None
    return read


def _check_bounds(part: Mapping[str, Any], value: Any) -> None:
    if isinstance(value, str):
        if len(value) < part.get("minLength", 0):
            raise ValueError("Please fill this in.")
        if len(value) > part.get("maxLength", math.inf):
            raise ValueError(f"This has more than {part['maxLength']} characters.")
        return
    if "exclusiveMinimum" in part and value <= part["exclusiveMinimum"]:
        raise ValueError(f"This has to be more than {part['exclusiveMinimum']}.")
    if "minimum" in part and value < part["minimum"]:
        raise ValueError(f"This has to be at least {part['minimum']}.")
    if "maximum" in part and value > part["maximum"]:
        raise ValueError(f"This has to be at most {part['maximum']}.")

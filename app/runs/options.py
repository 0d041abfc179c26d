"""The options of a training run as the launch form and the API take them.

What they are, their ranges and their meaning stand in `training_schema.json`, which is written from the
config classes of `worker.training`; the presets stand beside it. `python -m worker.presets` writes both.
"""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.database import Json
from app.errors import Invalid
from app.runs import places
from app.runs.option_values import read_value

HERE = Path(__file__).resolve().parent

# Decided by what is chosen (data, other runs, base model, kind) or by where this installation keeps things.
DECIDED_ELSEWHERE = {
    "run_folder",
    "dataset_folder",
    "pairs_folder",
    "expert",
    "model.path",
    "objective.kind",
    "data.cache_folder",
    "teacher.cache_folder",
    "theta.init_path",
    "samples.negative",
}
TAUGHT = ("cpo", "cpo_s")
PAIRED = ("dpo", "npo")
PREFERRING = (*TAUGHT, *PAIRED, "spo")
LABELLED = ("sft", *TAUGHT)
DENOISING = (*LABELLED, *PAIRED)
# Options, and whole sections, that only some kinds of run read; all others concern every run.
ONLY_FOR = {
    "objective.omega_w": TAUGHT,
    "objective.omega_l": TAUGHT,
    "objective.beta": (*TAUGHT, "dpo", "npo"),
    "objective.margin": ("cpo_s",),
    "objective.norm_eps": ("cpo_s",),
    "objective.reference": PREFERRING,
    "objective.time_weight": DENOISING,
    "objective.snr_gamma": DENOISING,
    "objective.drop_all": ("sft",),
    "objective.drop_to_neg": ("sft",),
    "objective.drop_content": PREFERRING,
    "text.polarity_markers": LABELLED,
    "text.order": LABELLED,
    "text.reducer": LABELLED,
    "text.empty_neg": TAUGHT,
    "text.generic_neg": TAUGHT,
    "noise": DENOISING,
    "spo": ("spo",),
    "teacher": TAUGHT,
    "samples.negative_merge": (*LABELLED, "dpo", "spo"),
}
# Parts of names of files, which must not lead elsewhere.
FILE_NAMES = {
    "model.variant": re.compile(r"\w[\w.-]*"),
    "model.revision": re.compile(r"\w[\w.-]*(/\w[\w.-]*)*"),
}
# Not an option of the trainer: whether the run gets the folder of the teacher cache.
TEACHER_CACHE = "teacher.cache"
OWN = {
    TEACHER_CACHE: {
        "title": "Keep predictions",
        "type": "boolean",
        "default": False,
        "description": "Keep what expert and reference predict for later runs, which then take about a "
        "third of the computing: those that differ in guidance, beta, loss or share of the data only.",
    }
}
MAIN = (
    "optimization.epochs",
    "optimization.max_steps",
    "optimization.batch_size",
    "optimization.learning_rate",
    "objective.beta",
    "spo.beta",
    "objective.omega_w",
    "objective.omega_l",
    "theta.mode",
    "lora.rank",
    "data.resolution",
    "precision",
    TEACHER_CACHE,
    "samples.every",
    "samples.prompts",
)
# Titles that say enough without the section they stand in.
TITLES = {
    "objective.omega_w": "ω of the winner",
    "objective.omega_l": "ω of the loser",
    "objective.drop_all": "Share with the empty prompt",
    "objective.drop_to_neg": "Share with A_neg alone",
    "objective.drop_content": "Share without a prompt",
    "objective.norm_eps": "Least distance to the loser",
    "text.null": "Empty condition",
    "text.reducer": "What is kept of the labels",
    "text.empty_neg": "Images without negatives",
    "text.generic_neg": "Generic negatives",
    "flow.space": "Space of equal weight",
    "theta.init": "Where it starts",
    "optimization.scale_lr": "Scale by the batch",
    "optimization.max_grad_norm": "Largest gradient norm",
    "optimization.ema_decay": "EMA decay",
    "theta.mode": "What is trained",
    "lora.rank": "Adapter rank",
    "samples.every": "Sample every … steps",
    "samples.prompts": "Sample prompts",
}
SECTIONS = {
    "": "This run",
    "model": "Base model files",
    "flow": "Flow matching (FLUX)",
    "spo": "SPO",
    "theta": "Trained model",
    "lora": "Adapter",
    "teacher": "Teacher cache",
    "scale": "Several GPUs",
}
# Choices of other runs that stand in a section.
CHOSEN_IN = {"start_run_id": "theta", "negative_run_id": "samples"}
# Where the launch does more than the trainer by itself.
HINTS = {
    "tracking.mlflow": "The MLflow that the run reports to: one that the operator named with MORELLI_MLFLOW.",
    "scale.accelerate_config": "For several hosts: a config of accelerate that the operator named with "
    "MORELLI_ACCELERATE_CONFIGS.",
    "samples.prompts": "Prompts to sample. Empty: four of the validation and test images.",
    "theta.init": "Where it starts: as the pretrained model, as the expert, or as another run (path), "
    "which is chosen above. Away from the reference the first loss is not log 2.",
}


_GONE = object()


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
        """The allowed words, where only some are; nothing stands for none."""
        if self.path in places.PLACES:
            return ("", *places.named(self.path))
        return tuple(self.schema.get("enum", ()))

    @property
    def section(self) -> str:
        """The part of the config it stands in; empty at the top."""
        return self.path.rpartition(".")[0]

    def concerns(self, kind: str) -> bool:
        """Whether runs of this kind read it."""
        return kind in ONLY_FOR.get(self.path, ONLY_FOR.get(self.section, (kind,)))


@dataclass(frozen=True)
class Section:
    """Options that the form shows together, and what the schema says of them."""

    name: str
    title: str
    hint: str
    options: list[Option]

    def is_wrong(self, errors: Mapping[str, str]) -> bool:
        """Whether a field shown in it has an error."""
        return any(each.path in errors for each in self.options) or any(
            field in errors for field, section in CHOSEN_IN.items() if section == self.name
        )


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
    found = [*_walk(schema(), ""), *OWN.items()]
    sections = list(schema()["properties"])
    found.sort(key=lambda each: sections.index(each[0].split(".")[0]))
    return {path: Option(path, part) for path, part in found}


def main_options(kind: str) -> list[Option]:
    """What the form shows at once for a kind of run."""
    return [each for path in MAIN if (each := options()[path]).concerns(kind)]


def sections(kind: str) -> list[Section]:
    """Everything else that a kind of run reads, by section; those of the run itself come last."""
    found: dict[str, list[Option]] = {}
    for path, option in options().items():
        if path not in MAIN and option.concerns(kind):
            found.setdefault(option.section, []).append(option)
    own = found.pop("", [])
    return [
        Section(
            name=name,
            title=SECTIONS.get(name, name.capitalize()),
            hint=str(schema()["properties"].get(name, {}).get("description", "")),
            options=each,
        )
        for name, each in (*found.items(), ("", own))
    ]


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
    for path, part in _walk(schema(), ""):
        put(config, path, deepcopy(part.get("default")))
    return config


def completed(config: Mapping[str, Any]) -> Json:
    """A config that an older release may have written: options that are new take their defaults, and
    those that are gone are left out.
    """
    whole = defaults()
    for path in [*(each for each, _ in _walk(schema(), "")), *DECIDED_ELSEWHERE]:
        found = get(config, path, _GONE)
        if found is not _GONE:
            put(whole, path, deepcopy(found))
    return whole


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
            values[path] = read_value(option.schema, value)
            _check_name(path, values[path])
        except ValueError as error:
            errors[path] = str(error)
        except Invalid as error:
            errors[path] = f"{error.message} {error.hint}"
    if errors:
        raise InvalidOptions(errors)
    return values


def _check_name(path: str, value: object) -> None:
    """What becomes part of a file's name, or names a place of the server."""
    if path in places.PLACES and value:
        places.place_of(path, str(value))
    if path in FILE_NAMES and value and not FILE_NAMES[path].fullmatch(str(value)):
        raise ValueError("This has letters, digits, dots, dashes and underscores.")


def check_together(config: Mapping[str, Any], kind: str) -> None:
    """What no single option can tell: the rules of the trainer's config that concern several.

    Raises InvalidOptions.
    """
    errors = _check_training(config, kind) | _check_objective(config, kind)
    if get(config, "scale.sharding") == "fsdp":
        errors |= _check_sharding(config, kind)
    if get(config, "validation.patience") is not None and not get(config, "validation.every"):
        errors["validation.patience"] = "This needs validation: say every how many steps."
    if errors:
        raise InvalidOptions(errors)


def _check_training(config: Mapping[str, Any], kind: str) -> dict[str, str]:
    errors = {}
    if get(config, "lora.alpha") is not None and get(config, "lora.scaling") is not None:
        errors["lora.scaling"] = "Give alpha or scaling, not both."
    is_adapter = get(config, "theta.mode") == "lora"
    if is_adapter and get(config, "optimization.optimizer") == "adafactor":
        errors["optimization.optimizer"] = (
            "Adafactor is for full fine-tuning; an adapter is small enough for AdamW."
        )
    if kind == "sft" and get(config, "theta.init") == "sft":
        errors["theta.init"] = "SFT makes the expert and cannot start from one."
    return errors


def _check_objective(config: Mapping[str, Any], kind: str) -> dict[str, str]:
    errors = {}
    dropped = get(config, "objective.drop_all", 0) + get(config, "objective.drop_to_neg", 0)
    if kind == "sft" and dropped > 1:
        errors["objective.drop_to_neg"] = "Together with drop all this is more than 1."
    if kind == "sft" and get(config, "objective.reference") == "sft":
        errors["objective.reference"] = "SFT makes the expert and has no reference."
    is_null = get(config, "text.empty_neg") == "null"
    if kind in TAUGHT and is_null and _omegas_are_equal(config):
        errors["text.empty_neg"] = (
            "With null and equal omegas these images give no gradient: skip them, or use generic."
        )
    if kind == "spo" and get(config, "spo.first") >= get(config, "spo.steps") - 1:
        errors["spo.first"] = "This has to be before the last step of a trajectory."
    return errors


def _check_sharding(config: Mapping[str, Any], kind: str) -> dict[str, str]:
    errors = {}
    if get(config, "scale.processes") == 1:
        errors["scale.sharding"] = (
            "This deals the model out to several processes; there is only one."
        )
    elif kind == "spo":
        errors["scale.sharding"] = "SPO cannot be sharded."
    if get(config, "optimization.optimizer") != "adamw":
        errors["optimization.optimizer"] = "With sharding only AdamW works."
    if get(config, "teacher.cache_folder") is not None:
        errors[TEACHER_CACHE] = "With sharding predictions cannot be kept."
    return errors


def _omegas_are_equal(config: Mapping[str, Any]) -> bool:
    return bool(get(config, "objective.omega_w") == get(config, "objective.omega_l"))


def needs_expert(config: Mapping[str, Any], kind: str) -> bool:
    """Whether a run takes an expert: stage 2 always, others where they start from or compare with one."""
    return kind in TAUGHT or "sft" in (
        get(config, "objective.reference"),
        get(config, "theta.init"),
    )


def typed_options(form: Mapping[str, Any]) -> Json:
    """The options of a submitted form: what is left empty takes its default."""
    return {
        path: text for path in options() if isinstance(text := form.get(path), str) and text.strip()
    }

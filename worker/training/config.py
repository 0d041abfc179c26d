"""The config of a training run: the one truth about its options, their ranges and their meaning.

Needs no torch. The launch form's JSON Schema is written from these classes by
`python -m worker.training.config > app/runs/training_schema.json`; a field's description is the
docstring under it.
"""

import ast
import inspect
import json
import math
import sys
import textwrap
import types
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from worker.training.failures import InvalidConfig


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds of a number. `low` itself is allowed unless `open_low`."""

    low: float | None = None
    high: float | None = None
    open_low: bool = False


@dataclass(frozen=True, slots=True)
class Length:
    """Bounds of the number of characters or items."""

    low: int = 0
    high: int | None = None


Positive = Range(0, open_low=True)
Text = Annotated[str, Length(1, 4096)]
Share = Annotated[float, Range(0, 1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """The pretrained model that is adapted."""

    path: Text
    """Folder of an SDXL model in diffusers layout, or a hub id that is already in the local cache."""
    revision: str | None = None
    """Revision of the hub id. Only for a hub id."""
    variant: str | None = None
    """Which weight files to read, for example fp16 for *.fp16.safetensors. Empty: the plain ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Data:
    """Which images of the dataset, and at what size."""

    split: Literal["train", "all"] = "train"
    """Images to learn from. "all" includes the test images, so later scores on them mean nothing;
    the result says so."""
    resolution: Annotated[int, Range(16, 4096)] = 1024
    """Side of the square each image is scaled and centre-cropped to, in pixels. Must fit the
    model's latents (a multiple of 8 for SDXL, and of what its UNet halves)."""
    cache_folder: str | None = None
    """Folder for latents and text embeddings, which several runs may share. Empty: they are kept in
    this run's memory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """What is minimised."""

    kind: Literal["sft", "cpo", "cpo_s"] = "cpo_s"
    """sft: stage 1, makes the expert. cpo: stage 2 (Eq. 12). cpo_s: stage 2, stabilised (Eq. 13-14)."""
    omega_w: Annotated[float, Range(1, 100)] = 2.0
    """Guidance of the winner target, from A_neg toward y and A_pos (Eq. 10). Stage 2 only."""
    omega_l: Annotated[float, Range(1, 100)] = 2.0
    """Guidance of the loser target, from the empty prompt toward y, A_pos and A_neg (Eq. 11). Stage 2
    only."""
    beta: Annotated[float, Positive] = 5000.0
    """Strength of the pull toward the reference, as in Diffusion-DPO: half of it multiplies mean
    squared errors. Larger: the model stops sooner. Stage 2 only."""
    margin: Literal["eq14", "eq12"] = "eq14"
    """Which equation gives the stabilised loss its scalar factor; its direction is Eq. 14's. cpo_s only."""
    empty_neg: Literal["skip"] = "skip"
    """Images without negative attributes have nothing to learn from in stage 2: skipped and counted."""
    drop_all: Share = 0.1
    """Share of stage 1 draws that see the empty prompt, so that the expert knows it. The paper: 0."""
    drop_to_neg: Share = 0.1
    """Share of stage 1 draws that see A_neg alone, so that the expert knows it. The paper: 0."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lora:
    """The adapter that is trained."""

    rank: Annotated[int, Range(1, 1024)] = 16
    """Rank of the two factors."""
    alpha: Annotated[float, Positive] | None = None
    """The adapter's output is multiplied by alpha / rank. Give alpha or scaling, not both; neither
    means alpha = rank."""
    scaling: Annotated[float, Positive] | None = None
    """The factor alpha / rank itself."""
    targets: Annotated[tuple[Text, ...], Length(1, 64)] = (
        "to_q",
        "to_k",
        "to_v",
        "to_out.0",
    )
    """Ends of the names of the layers that are adapted."""

    def __post_init__(self) -> None:
        if self.alpha is not None and self.scaling is not None:
            raise InvalidConfig("alpha and scaling are both given; give one of them")

    @property
    def effective_alpha(self) -> float:
        """The alpha that weights files carry."""
        if self.scaling is not None:
            return self.scaling * self.rank
        return float(self.rank) if self.alpha is None else self.alpha


@dataclass(frozen=True, kw_only=True, slots=True)
class Optimization:
    """How long, in which portions, and how fast."""

    epochs: Annotated[int, Range(1, 10_000)] = 1
    """Passes over the images, unless max_steps is given."""
    max_steps: Annotated[int, Range(1, 10_000_000)] | None = None
    """Number of optimizer steps, over as many passes as that takes. Empty: epochs decides."""
    batch_size: Annotated[int, Range(1, 4096)] = 4
    """Images in one pass through the model."""
    gradient_accumulation: Annotated[int, Range(1, 4096)] = 1
    """Passes per optimizer step; batch_size times this is the effective batch."""
    learning_rate: Annotated[float, Range(0, 1, open_low=True)] = 1e-5
    """AdamW's learning rate after warm-up. The paper's stage 1: 1e-4."""
    warmup_steps: Annotated[int, Range(0, 1_000_000)] = 0
    """Steps over which the learning rate grows linearly from zero; constant after that."""
    weight_decay: Annotated[float, Range(0, 1)] = 0.01
    """AdamW's decoupled weight decay."""
    max_grad_norm: Annotated[float, Positive] = 1.0
    """Gradients are scaled down to this norm."""
    gradient_checkpointing: bool = False
    """Compute activations again in the backward pass: less memory, a third more time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """Pictures made along the way, always for the same prompts and seeds."""

    every: Annotated[int, Range(0, 10_000_000)] = 500
    """Steps between samples. They are also made before the first step and after the last. 0: only
    those two."""
    prompts: Annotated[tuple[Text, ...], Length(0, 64)] = ()
    """Prompts to sample. Empty: no samples."""
    seeds: Annotated[tuple[Annotated[int, Range(0, 2**63 - 1)], ...], Length(1, 64)] = (0,)
    """Seeds; every prompt is sampled with every seed."""
    steps: Annotated[int, Range(1, 1000)] = 30
    """Denoising steps per sample."""
    guidance: Annotated[float, Range(0, 100)] = 5.0
    """Classifier-free guidance. 1 or less: none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoints:
    """What a killed run resumes from."""

    every: Annotated[int, Range(1, 10_000_000)] = 500
    """Steps between checkpoints. One is also written after the last step and when stopped."""
    keep: Annotated[int, Range(1, 1000)] = 2
    """How many of the newest are kept."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Config:
    """One training run, whole."""

    run_folder: Text
    """Folder the run writes. Starting again with the same folder and config resumes the run."""
    dataset_folder: Text
    """Folder of a dataset: manifest.json, criteria.json, and a folder for each split."""
    model: Model
    objective: Objective = field(default_factory=Objective)
    expert: str | None = None
    """Adapter folder (or run folder) of the stage 1 run. Needed for cpo and cpo_s."""
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Decides the adapter's start, the order of images, and every timestep and noise."""
    data: Data = field(default_factory=Data)
    lora: Lora = field(default_factory=Lora)
    optimization: Optimization = field(default_factory=Optimization)
    samples: Samples = field(default_factory=Samples)
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    precision: Literal["fp32", "bf16"] = "fp32"
    """Arithmetic of the model. The adapter's weights and the loss are fp32 in both."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where to compute. auto: the GPU if there is one."""
    threads: Annotated[int, Range(0, 1024)] = 0
    """CPU threads. 0: the number of cores, 8 at most. A CPU run repeats bit for bit only with the same
    number."""
    log_every: Annotated[int, Range(1, 1_000_000)] = 1
    """Steps per line of metrics.jsonl; each line holds the means over them."""

    def __post_init__(self) -> None:
        stage_1 = self.objective.kind == "sft"
        if not stage_1 and self.expert is None:
            raise InvalidConfig(
                f"expert: objective {self.objective.kind} needs the adapter folder of a finished "
                "sft run"
            )
        if stage_1 and self.expert is not None:
            raise InvalidConfig("expert: sft makes the expert and takes none; remove it")
        if stage_1 and self.objective.drop_all + self.objective.drop_to_neg > 1:
            raise InvalidConfig("objective.drop_to_neg: drop_all + drop_to_neg is more than 1")


def load_config(path: Path | str) -> Config:
    """Read a YAML file. Relative paths in it are meant from the current folder.

    Raises InvalidConfig, which names the file and the field.
    """
    path = Path(path)
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(f"{path}: cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise InvalidConfig(f"{path}: is not YAML: {' '.join(str(error).split())}") from error
    try:
        return from_dict(values)
    except InvalidConfig as error:
        raise InvalidConfig(f"{path}: {error}") from error


def from_dict(values: object) -> Config:
    """Make a Config of plain values. Raises InvalidConfig naming the field, e.g. "lora.rank: ..."."""
    config = _read(Config, values, "")
    assert isinstance(config, Config)
    return config


def to_dict(config: Config) -> dict[str, Any]:
    """The plain values; `from_dict` of them is the same config."""
    return _plain(asdict(config))  # type: ignore[no-any-return]  # a dict goes in, a dict comes out


def write_yaml(config: Config) -> str:
    """The whole config as YAML, every default spelled out."""
    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True, width=100)


def json_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the config file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Training run",
        **_object_schema(Config),
    }


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case tuple() | list():
            return [_plain(inner) for inner in value]
    return value


def _at(place: str, message: str) -> InvalidConfig:
    return InvalidConfig(f"{place}: {message}" if place else message)


def _read(kind: Any, value: object, place: str) -> Any:
    """Check `value` against a type of this module and return it as that type."""
    if get_origin(kind) is Annotated:
        inner, *limits = get_args(kind)
        value = _read(inner, value, place)
        for limit in limits:
            _check_limit(limit, value, place)
        return value
    if is_dataclass(kind):
        return _read_object(kind, value, place)
    if get_origin(kind) in (Union, types.UnionType):
        return None if value is None else _read(_without_none(kind), value, place)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            allowed = ", ".join(map(str, get_args(kind)))
            raise _at(place, f"must be one of {allowed}; got {value!r}")
        return value
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            raise _at(place, f"must be a list; got {value!r}")
        return tuple(_read(get_args(kind)[0], v, f"{place}[{i}]") for i, v in enumerate(value))
    return _read_scalar(kind, value, place)


def _read_object(kind: Any, value: object, place: str) -> Any:
    if not isinstance(value, Mapping):
        raise _at(place, f"must be a mapping of options; got {value!r}")
    hints = get_type_hints(kind, include_extras=True)
    prefix = f"{place}." if place else ""
    for key in value:
        if key not in hints:
            raise _at(f"{prefix}{key}", f"unknown option; known here: {', '.join(hints)}")
    for option in fields(kind):
        if option.name not in value and _is_required(option):
            raise _at(f"{prefix}{option.name}", "is missing")
    read = {key: _read(hints[key], value[key], f"{prefix}{key}") for key in value}
    try:
        return kind(**read)
    except InvalidConfig as error:
        raise _at(place, str(error)) from error


def _read_scalar(kind: type, value: object, place: str) -> object:
    names = {
        bool: "true or false",
        int: "a whole number",
        float: "a number",
        str: "text",
    }
    if kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            # YAML 1.1 reads 1e-4 as text: it wants a dot. People do not.
            number = float(value)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
    elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
        return value
    raise _at(place, f"must be {names[kind]}; got {value!r}")


def _check_limit(limit: object, value: Any, place: str) -> None:
    match limit:
        case Range(low, high, open_low):
            if low is not None and (value <= low if open_low else value < low):
                raise _at(
                    place,
                    f"must be {'more than' if open_low else 'at least'} {low}; got {value}",
                )
            if high is not None and value > high:
                raise _at(place, f"must be at most {high}; got {value}")
        case Length(low, high):
            unit = "characters" if isinstance(value, str) else "items"
            if len(value) < low:
                raise _at(place, f"must have at least {low} {unit}; got {len(value)}")
            if high is not None and len(value) > high:
                raise _at(place, f"must have at most {high} {unit}; got {len(value)}")


def _without_none(kind: Any) -> Any:
    (inner,) = (part for part in get_args(kind) if part is not types.NoneType)
    return inner


def _is_required(option: Any) -> bool:
    return option.default is MISSING and option.default_factory is MISSING


@cache
def _field_docs(kind: type) -> dict[str, str]:
    """The docstring under each field of a dataclass."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    docs: dict[str, str] = {}
    for statement, following in zip(tree.body, tree.body[1:], strict=False):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                docs[name] = " ".join(text.split())
    return docs


def _object_schema(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    docs = _field_docs(kind)
    properties: dict[str, Any] = {}
    for option in fields(kind):
        schema = {"title": option.name.replace("_", " ").capitalize()}
        schema |= _schema(hints[option.name])
        if option.name in docs:
            schema["description"] = docs[option.name]
        if option.default is not MISSING:
            schema["default"] = _plain(option.default)
        properties[option.name] = schema
    return {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split()),
        "properties": properties,
        "required": [option.name for option in fields(kind) if _is_required(option)],
        "additionalProperties": False,
    }


def _schema(kind: Any) -> dict[str, Any]:
    if get_origin(kind) is Annotated:
        inner, *limits = get_args(kind)
        schema = _schema(inner)
        for limit in limits:
            schema |= _limit_schema(limit, schema["type"])
        return schema
    if is_dataclass(kind):
        return _object_schema(kind)
    if get_origin(kind) in (Union, types.UnionType):
        schema = _schema(_without_none(kind))
        return schema | {"type": [schema["type"], "null"]}
    if get_origin(kind) is Literal:
        return {"type": "string", "enum": list(get_args(kind))}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _schema(get_args(kind)[0])}
    return {"type": {bool: "boolean", int: "integer", float: "number", str: "string"}[kind]}


def _limit_schema(limit: object, kind: str) -> dict[str, Any]:
    match limit:
        case Range(low, high, open_low):
            low_key = "exclusiveMinimum" if open_low else "minimum"
            return {k: v for k, v in ((low_key, low), ("maximum", high)) if v is not None}
        case Length(low, high):
            unit = "Items" if kind == "array" else "Length"
            return {k: v for k, v in ((f"min{unit}", low), (f"max{unit}", high)) if v is not None}
    return {}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")

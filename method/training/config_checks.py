"""What does not go together in a config, and what is asked for in vain. Needs no torch."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from method.training.failures import InvalidConfig

if TYPE_CHECKING:
    from method.training.config import Config

TAUGHT = ("cpo", "cpo_s")
"""Kinds that learn from an expert."""
PAIRED = ("dpo", "npo")
"""Kinds that learn from pairs of images."""


def check(config: "Config") -> None:
    """Raise InvalidConfig for what contradicts itself or cannot be done."""
    for each in (_check_data, _check_expert, _check_theta, _check_rest):
        each(config)
    if config.scale.sharding == "fsdp":
        _check_sharding(config)


def _check_data(config: "Config") -> None:
    kind = config.objective.kind
    needed, other = ("pairs_folder", "dataset_folder")[:: 1 if kind in PAIRED else -1]
    if getattr(config, needed) is None:
        raise InvalidConfig(f"{needed}: objective {kind} needs this folder")
    if getattr(config, other) is not None:
        raise InvalidConfig(f"{other}: objective {kind} reads {needed} and not this; remove it")


def _check_expert(config: "Config") -> None:
    kind = config.objective.kind
    wants = kind in TAUGHT or config.objective.reference == "sft" or config.theta.init == "sft"
    if kind == "sft" and config.expert is not None:
        raise InvalidConfig("expert: sft makes the expert and takes none; remove it")
    if kind == "sft" and wants:
        raise InvalidConfig("theta.init: sft makes the expert and cannot start from one")
    if wants and config.expert is None:
        raise InvalidConfig(
            f"expert: objective {kind} needs the adapter folder of a finished sft run"
            if kind in TAUGHT
            else "expert: the reference or start that is asked for is an expert; give its folder"
        )
    if not wants and config.expert is not None:
        raise InvalidConfig(f"expert: objective {kind} takes none here; remove it")


def _check_theta(config: "Config") -> None:
    if (config.theta.init == "path") != (config.theta.init_path is not None):
        raise InvalidConfig("theta.init_path: goes with theta.init path, and only with it")
    if config.theta.mode == "lora" and config.optimization.optimizer == "adafactor":
        raise InvalidConfig("optimization.optimizer: adafactor is for theta.mode full only")


def _check_sharding(config: "Config") -> None:
    """What does not go with parts of a model on several processes, all of which make the same passes."""
    optimizer = config.optimization.optimizer
    if config.scale.processes == 1:
        raise InvalidConfig("scale.sharding: fsdp takes several scale.processes; there is only one")
    if optimizer != "adamw":
        raise InvalidConfig(
            f"optimization.optimizer: {optimizer} does not work with fsdp; choose adamw"
        )
    if config.objective.kind == "spo":
        raise InvalidConfig(
            "scale.sharding: passes of spo depend on what each process judges, and with fsdp all "
            "make the same ones; choose none"
        )
    if config.teacher.cache_folder is not None:
        raise InvalidConfig(
            "teacher.cache_folder: each process's cache could hold other images, and with fsdp all "
            "make the same passes; remove it, or choose scale.sharding none"
        )
    if config.samples.negative is not None and config.theta.mode == "full":
        raise InvalidConfig(
            "samples.negative: beside a theta.mode full it takes a third network, which "
            "scale.sharding fsdp cannot make; remove it"
        )


def _check_rest(config: "Config") -> None:
    objective = config.objective
    if objective.kind == "sft" and objective.drop_all + objective.drop_to_neg > 1:
        raise InvalidConfig("objective.drop_to_neg: drop_all + drop_to_neg is more than 1")
    no_signal = config.text.empty_neg == "null" and objective.omega_w == objective.omega_l
    if objective.kind in TAUGHT and no_signal:
        raise InvalidConfig(
            "text.empty_neg: with null and equal omegas images without negatives give no gradient; "
            "choose skip, generic, or different omegas"
        )
    if objective.kind == "spo" and config.spo.first >= config.spo.steps - 1:
        raise InvalidConfig(
            f"spo.first: {config.spo.first} leaves no step to judge of {config.spo.steps}, as the last "
            f"one draws hardly any noise; give {config.spo.steps - 2} or less"
        )
    if config.validation.patience is not None and not config.validation.every:
        raise InvalidConfig("validation.patience: needs validation.every")


# What is asked for in vain ------------------------------------------------------------------------


def refuse_unread(config: "Config") -> None:
    """Raise InvalidConfig for an option that has another value than its default and is not read.

    Not a part of every config's own checks: what a run of an earlier version was started with has to be read
    again.
    """
    for name, why in _unread(config):
        section, _, option = name.rpartition(".")
        part = getattr(config, section)
        value, default = getattr(part, option), _default_of(part, option)
        # Who asks for none of what there is none of gets what they ask for.
        if value and value != default:
            raise InvalidConfig(
                f"{name}: is {value}, but {why}, so it would not be read; leave it at {default}"
            )
    if config.model.revision is not None and Path(config.model.path).is_dir():
        raise InvalidConfig(
            f"model.revision: is {config.model.revision}, but model.path is a folder, which has none; "
            "remove it"
        )


def _default_of(part: object, option: str) -> object:
    fields = getattr(type(part), "__dataclass_fields__")  # noqa: B009  # slots hide it from a type checker
    return fields[option].default


def _unread(config: "Config") -> Iterator[tuple[str, str]]:
    """Options that this run does not read, each with the reason."""
    kind = config.objective.kind
    for applies, names, why in (
        (kind == "sft", ("drop_all", "drop_to_neg"), "only sft draws among conditions"),
        (kind != "sft", ("drop_content",), "sft has drop_all for that"),
        (kind in TAUGHT, ("omega_w", "omega_l"), f"{kind} has no expert to guide"),
        (kind == "cpo_s", ("margin", "norm_eps"), "only cpo_s is stabilised"),
        (kind not in ("sft", "spo"), ("beta",), f"{kind} does not pull with it toward a reference"),
        (kind != "spo", ("time_weight", "snr_gamma"), "spo weighs no timesteps"),
        (config.objective.time_weight == "min_snr", ("snr_gamma",), "time_weight is not min_snr"),
    ):
        if not applies:
            yield from ((f"objective.{name}", why) for name in names)
    yield from _unread_sections(config)


def _unread_sections(config: "Config") -> Iterator[tuple[str, str]]:
    kind = config.objective.kind
    is_labelled, is_taught = kind not in (*PAIRED, "spo"), kind in TAUGHT
    is_exported = config.theta.mode == "lora" and config.export.kohya
    for applies, section, names, why in (
        (kind == "spo", "spo", None, f"the objective is {kind}"),
        (kind != "spo", "noise", None, "spo draws its own noise"),
        (is_taught, "teacher", None, f"{kind} has no teacher"),
        (config.teacher.cache_folder, "teacher", ("dtype",), "there is no teacher.cache_folder"),
        (
            is_labelled,
            "text",
            ("polarity_markers", "order", "reducer"),
            f"{kind} reads no attributes",
        ),
        (is_taught, "text", ("empty_neg",), "it is for stage 2"),
        (config.text.empty_neg == "generic", "text", ("generic_neg",), "empty_neg is not generic"),
        (config.data.buckets, "data", ("bucket_step", "bucket_aspect"), "there are no buckets"),
        (config.guard.spike_factor, "guard", ("settle_steps",), "there is no spike_factor"),
        (config.samples.negative, "samples", ("negative_merge",), "there is no samples.negative"),
        (config.validation.every, "validation", ("images",), "validation.every is 0"),
        (is_exported, "export", ("dtype",), "no file for ComfyUI and A1111 is written"),
    ):
        if not applies:
            part = getattr(config, section)
            known = names or tuple(getattr(type(part), "__dataclass_fields__"))  # noqa: B009
            yield from ((f"{section}.{name}", why) for name in known)


def refuse_unread_of(config: "Config", family: str, *, has_guidance: bool) -> None:
    """The same for what depends on the model, which has to be loaded first."""
    for name in type(config.flow).__dataclass_fields__:
        value, default = getattr(config.flow, name), _default_of(config.flow, name)
        if value == default:
            continue
        if family != "flux":
            raise InvalidConfig(
                f"flow.{name}: is {value}, but model.path is no FLUX, so it would not be read; leave it "
                f"at {default}"
            )
        if name == "train_guidance" and not has_guidance:
            raise InvalidConfig(
                f"flow.train_guidance: is {value}, but this model has no guidance embedding; leave it at "
                f"{default}"
            )

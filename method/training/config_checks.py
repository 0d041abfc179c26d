"""What does not go together in a config, what only some objectives read, and what is asked for in vain."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from method.objectives import OBJECTIVES, Facts
from method.training.failures import InvalidConfig

if TYPE_CHECKING:
    from method.training.config import Config

Problem = tuple[str, str]
"""A field by its dotted path, and what is wrong with it."""


def check(config: "Config") -> None:
    """Raise InvalidConfig for what contradicts itself or cannot be done."""
    refuse(find_problems(config))


def refuse(problems: Iterable[Problem]) -> None:
    """Raise InvalidConfig where there are problems; of each field the first one counts."""
    found: dict[str, str] = {}
    for name, sentence in problems:
        found.setdefault(name, sentence)
    for name, sentence in found.items():
        raise InvalidConfig(f"{name}: {sentence}", found)


def find_problems(config: "Config") -> Iterator[Problem]:
    """What contradicts itself or cannot be done."""
    yield from _check_data(config)
    yield from _check_expert(config)
    yield from _check_theta(config)
    yield from _check_rest(config)
    if config.scale.sharding == "fsdp":
        yield from _check_sharding(config)


def _check_data(config: "Config") -> Iterator[Problem]:
    objective = config.objective
    needed, other = ("pairs_folder", "dataset_folder")[:: 1 if objective.facts.reads_pairs else -1]
    if getattr(config, needed) is None:
        yield needed, f"objective {objective.kind} needs this folder"
    if getattr(config, other) is not None:
        yield other, f"objective {objective.kind} reads {needed} and not this; remove it"


def _check_expert(config: "Config") -> Iterator[Problem]:
    objective, facts = config.objective, config.objective.facts
    if facts.makes_expert:
        if objective.reference == "sft":
            yield "objective.reference", f"{objective.kind} makes the expert and has no reference"
        if config.theta.init == "sft":
            yield "theta.init", f"{objective.kind} makes the expert and cannot start from one"
        if config.expert is not None:
            yield "expert", f"{objective.kind} makes the expert and takes none; remove it"
    elif config.needs_expert and config.expert is None:
        yield (
            "expert",
            f"objective {objective.kind} needs the adapter folder of a finished sft run"
            if facts.needs_expert
            else "the reference or start that is asked for is an expert; give its folder",
        )
    elif config.expert is not None and not config.needs_expert:
        yield "expert", f"objective {objective.kind} takes none here; remove it"


def _check_theta(config: "Config") -> Iterator[Problem]:
    if (config.theta.init == "path") != (config.theta.init_path is not None):
        yield "theta.init_path", "goes with theta.init path, and only with it"
    if config.theta.mode == "lora" and config.optimization.optimizer == "adafactor":
        yield "optimization.optimizer", "adafactor is for theta.mode full only"
    if config.lora.alpha is not None and config.lora.scaling is not None:
        yield "lora.scaling", "alpha and scaling are both given; give one of them"


def _check_sharding(config: "Config") -> Iterator[Problem]:
    """What does not go with parts of a model on several processes, all of which make the same passes."""
    optimizer = config.optimization.optimizer
    if config.scale.processes == 1:
        yield "scale.sharding", "fsdp takes several scale.processes; there is only one"
    if optimizer != "adamw":
        yield "optimization.optimizer", f"{optimizer} does not work with fsdp; choose adamw"
    if config.objective.facts.samples_itself:
        yield (
            "scale.sharding",
            (
                f"passes of {config.objective.kind} depend on what each process judges, and with fsdp all "
                "make the same ones; choose none"
            ),
        )
    if config.teacher.cache_folder is not None:
        yield (
            "teacher.cache_folder",
            (
                "each process's cache could hold other images, and with fsdp all make the same passes; "
                "remove it, or choose scale.sharding none"
            ),
        )
    if config.samples.negative is not None and config.theta.mode == "full":
        yield (
            "samples.negative",
            (
                "beside a theta.mode full it takes a third network, which scale.sharding fsdp cannot make; "
                "remove it"
            ),
        )


def _check_rest(config: "Config") -> Iterator[Problem]:
    objective, facts, spo = config.objective, config.objective.facts, config.spo
    if facts.makes_expert and objective.drop_all + objective.drop_to_neg > 1:
        yield "objective.drop_to_neg", "drop_all + drop_to_neg is more than 1"
    no_signal = config.text.empty_neg == "null" and objective.omega_w == objective.omega_l
    if facts.is_guided and no_signal:
        yield (
            "text.empty_neg",
            (
                "with null and equal omegas images without negatives give no gradient; choose skip, generic, "
                "or different omegas"
            ),
        )
    if facts.samples_itself and spo.first >= spo.steps - 1:
        yield (
            "spo.first",
            (
                f"{spo.first} leaves no step to judge of {spo.steps}, as the last one draws hardly any noise; "
                f"give {spo.steps - 2} or less"
            ),
        )
    if config.guard.winner_by == "weights" and config.scale.processes > 1:
        yield (
            "guard.winner_by",
            "weights compares the pushes of one process alone; choose prediction, or scale.processes 1",
        )
    if config.validation.patience is not None and not config.validation.every:
        yield "validation.patience", "needs validation.every"


# What only some objectives read -------------------------------------------------------------------

Reads = Callable[[Facts], bool]
READ_BY: tuple[tuple[Reads, tuple[str, ...], str], ...] = (
    (
        lambda facts: facts.makes_expert,
        ("objective.drop_all", "objective.drop_to_neg"),
        "only sft draws among conditions",
    ),
    (
        lambda facts: not facts.makes_expert,
        ("objective.drop_content",),
        "{kind} has drop_all for that",
    ),
    (
        lambda facts: not facts.makes_expert,
        ("objective.reference",),
        "{kind} has no reference",
    ),
    (
        lambda facts: facts.is_guided,
        ("objective.omega_w", "objective.omega_l"),
        "{kind} has no guided targets",
    ),
    (
        lambda facts: facts.needs_expert and facts.pulls_by_beta,
        ("objective.drift_cap",),
        "{kind} has no use for a cap",
    ),
    (
        lambda facts: facts.has_gap,
        ("objective.gap", "objective.gap_drift"),
        "{kind} does not go a share of a gap",
    ),
    (
        lambda facts: facts.pushes_freely,
        ("guard.winner", "guard.winner_by"),
        "the loser of {kind} is not held back by it",
    ),
    (
        lambda facts: facts.is_stabilised,
        ("objective.margin", "objective.norm_eps"),
        "only cpo_s is stabilised",
    ),
    (
        lambda facts: facts.pulls_by_beta,
        ("objective.beta",),
        "{kind} does not pull with it toward a reference",
    ),
    (
        lambda facts: not facts.samples_itself,
        ("objective.time_weight", "objective.snr_gamma"),
        "{kind} weighs no timesteps",
    ),
    (lambda facts: facts.samples_itself, ("spo",), "the objective is {kind}"),
    (lambda facts: not facts.samples_itself, ("noise",), "{kind} draws its own noise"),
    (lambda facts: facts.needs_expert, ("teacher",), "{kind} has no teacher"),
    (
        lambda facts: facts.makes_expert or facts.needs_expert,
        ("validation.expert_images",),
        "{kind} neither makes an expert nor is taught by one",
    ),
    (
        lambda facts: facts.needs_expert and facts.pulls_by_beta,
        ("guard.frozen_steps",),
        "{kind} has no loss that could freeze with a winner to know it by",
    ),
    (
        lambda facts: facts.reads_attributes,
        ("text.polarity_markers", "text.order", "text.reducer"),
        "{kind} reads no attributes",
    ),
    (
        lambda facts: facts.needs_expert,
        ("text.empty_neg", "text.generic_neg"),
        "it is for stage 2",
    ),
)
"""Which objectives read options, or whole sections of them, that not all read; and what is said of others."""


def is_read(path: str, kind: str) -> bool:
    """Whether an objective reads an option."""
    return _why_unread(path, kind) is None


def _why_unread(path: str, kind: str) -> str | None:
    facts, section = OBJECTIVES[kind], path.partition(".")[0]
    return next(
        (
            why.format(kind=kind)
            for reads, names, why in READ_BY
            if not reads(facts) and (path in names or section in names)
        ),
        None,
    )


# What is asked for in vain ------------------------------------------------------------------------


def refuse_unread(config: "Config") -> None:
    """Raise InvalidConfig for an option that has another value than its default and is not read.

    Not a part of every config's own checks: what a run of an earlier version was started with has to be read
    again.
    """
    refuse(_asked_in_vain(config))


def _asked_in_vain(config: "Config") -> Iterator[Problem]:
    for name, why in _unread(config):
        section, _, option = name.rpartition(".")
        part = getattr(config, section)
        value, default = getattr(part, option), _default_of(part, option)
        # Who asks for none of what there is none of gets what they ask for.
        if value and default is None:
            yield name, f"is given, but {why}, so it would not be read; remove it"
        elif value and value != default:
            yield name, f"is {value}, but {why}, so it would not be read; leave it at {default}"
    if config.model.revision is not None and Path(config.model.path).is_dir():
        yield (
            "model.revision",
            f"is {config.model.revision}, but model.path is a folder, which has none; remove it",
        )


def _default_of(part: object, option: str) -> object:
    known = getattr(type(part), "__dataclass_fields__")  # noqa: B009  # slots hide it from a type checker
    return known[option].default


def _unread(config: "Config") -> Iterator[Problem]:
    """Options that this run does not read, each with the reason."""
    for section in fields(config):
        part = getattr(config, section.name)
        for option in fields(part) if is_dataclass(part) else ():
            path = f"{section.name}.{option.name}"
            if why := _why_unread(path, config.objective.kind):
                yield path, why
    yield from _unread_here(config)


def _unread_here(config: "Config") -> Iterator[Problem]:
    """Options that other options keep from being read."""
    is_exported = config.theta.mode == "lora" and config.export.kohya
    for applies, names, why in (
        (
            config.objective.time_weight == "min_snr",
            ("objective.snr_gamma",),
            "time_weight is not min_snr",
        ),
        (config.teacher.cache_folder, ("teacher.dtype",), "there is no teacher.cache_folder"),
        (
            config.text.empty_neg == "generic",
            ("text.generic_neg",),
            "empty_neg is not generic",
        ),
        (config.objective.gap_drift is None, ("objective.gap",), "gap_drift is given"),
        (
            config.data.buckets,
            ("data.bucket_step", "data.bucket_aspect"),
            "there are no buckets",
        ),
        (config.guard.winner, ("guard.winner_by",), "guard.winner is off"),
        (config.guard.spike_factor, ("guard.settle_steps",), "there is no spike_factor"),
        (
            config.objective.omega_w > 1,
            ("guard.frozen_steps",),
            "objective.omega_w is 1, at which the winning part has to rise",
        ),
        (config.samples.negative, ("samples.negative_merge",), "there is no samples.negative"),
        (config.validation.every, ("validation.images",), "validation.every is 0"),
        (is_exported, ("export.dtype",), "no file for ComfyUI and A1111 is written"),
    ):
        if not applies:
            yield from ((name, why) for name in names)


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

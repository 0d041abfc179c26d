"""The weights that a run starts from, compared with what its config asks for."""

from collections.abc import Iterable
from typing import Any

from torch import nn

from method.training.config import Config
from method.training.config_checks import refuse_unread_of
from method.training.failures import InvalidConfig
from worker.training.backbones import Backbone


def refuse_other_start(config: Config, backbone: Backbone, network: Any) -> None:
    """Raise InvalidConfig where theta's start has another rank or adapts other layers than the config says, or an
    option is given that this model does not read.

    What would be trained is the start's, whatever the config and the card say. Its factor may differ: its
    weights were converted to the config's (`adapters.attach_start`).
    """
    has_guidance = getattr(backbone, "has_guidance", False)
    refuse_unread_of(config, backbone.family, has_guidance=has_guidance)
    if config.theta.mode != "lora" or config.theta.init == "base":
        return
    lora, settings = config.lora, network.peft_config["theta"]
    place = "theta.init_path" if config.theta.init == "path" else "theta.init (the expert)"
    for odd in ("use_rslora", "use_dora", "rank_pattern", "alpha_pattern"):
        if getattr(settings, odd, None):
            raise InvalidConfig(f"{place}: this adapter uses {odd}, which is not trained here")
    if settings.r != lora.rank:
        raise InvalidConfig(
            f"lora.rank: is {lora.rank}, but the adapter of {place} has rank {settings.r}; give that one, "
            "or start from theta.init base"
        )
    theirs = {
        name for name, module in network.named_modules() if "theta" in getattr(module, "lora_A", ())
    }
    ours = set(fitting(network, lora.targets or backbone.lora_targets))
    for name in sorted(theirs ^ ours):
        where = "the adapter" if name in theirs else "lora.targets"
        raise InvalidConfig(
            f"lora.targets: the adapter of {place} adapts {len(theirs)} layers and lora.targets name "
            f"{len(ours)}: {name} is in {where} alone; give the same"
        )


def fitting(network: nn.Module, targets: Iterable[str]) -> list[str]:
    """The names of the layers that adapters are attached to."""
    ends = tuple(targets)
    return [
        name
        for name, _ in network.named_modules()
        if any(name == end or name.endswith(f".{end}") for end in ends)
    ]


def refuse_unknown_targets(network: nn.Module, targets: Iterable[str]) -> None:
    """Raise InvalidConfig naming a target that no layer's name ends with: it would be left out silently."""
    for target in targets:
        if not fitting(network, (target,)):
            raise InvalidConfig(
                f"lora.targets: no layer of this model ends with {target}; remove it"
            )

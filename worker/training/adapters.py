"""Adapters on a network: attaching them, their weights, and merging one into its network."""

import copy
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft import set_peft_model_state_dict as put_weights
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from method.training.config import Lora
from method.training.failures import InvalidConfig
from worker.training.lora_layers import use_fast_layers
from worker.training.noise import generator_for
from worker.training.starts import refuse_unknown_targets

Adapter = Literal["theta", "expert", "negative"]


def attach_theta(network: nn.Module, lora: Lora, targets: tuple[str, ...], seed: int) -> None:
    """Add the adapter to train: it changes nothing yet, and its start depends on the seed alone.

    `targets` are the layers where the config names none. Raises InvalidConfig where none fits.
    """
    with torch.random.fork_rng(devices=[]):
        refuse_unknown_targets(network, lora.targets)
        torch.manual_seed(generator_for(seed, 0, "", "adapter").initial_seed())
        _attach(
            network,
            "theta",
            LoraConfig(
                r=lora.rank,
                lora_alpha=lora.effective_alpha,  # type: ignore[arg-type]  # any number works
                target_modules=list(lora.targets or targets),
                init_lora_weights="gaussian",
            ),
            "lora.targets",
        )


def attach_adapter(
    network: nn.Module,
    name: Adapter,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    place: str,
) -> None:
    """Add an adapter that was trained before. Raises InvalidConfig, naming `place`, where its weights
    do not fit the network.
    """
    known = LoraConfig.__dataclass_fields__
    config = LoraConfig(**{key: value for key, value in metadata.items() if key in known})
    _attach(network, name, config, place)
    expected = set(adapter_weights(network, name))
    if expected != set(weights):
        odd = min(expected ^ set(weights))
        raise InvalidConfig(f"{place}: does not fit this model: {odd} is on one side only")
    load_weights(network, name, weights, place)


def attach_start(
    network: nn.Module,
    lora: Lora,
    weights: Mapping[str, Tensor],
    metadata: Mapping[str, Any],
    place: str,
) -> None:
    """Add theta as an adapter that was trained before, with the config's own factor: its weights are
    converted, so that it starts as what it was. Raises InvalidConfig where it does not fit the network.
    """
    mine = dict(metadata)
    if metadata["r"] == lora.rank:
        mine["lora_alpha"] = lora.effective_alpha
    attach_adapter(network, "theta", rescaled(weights, metadata, mine), mine, place)


def rescaled(
    weights: Mapping[str, Tensor], before: Mapping[str, Any], after: Mapping[str, Any]
) -> dict[str, Tensor]:
    """The weights that do with the factor of `after` what they did with that of `before`."""
    factor = scaling_of(before) / scaling_of(after)
    if factor == 1:
        return dict(weights)
    return {
        name: tensor * factor if ".lora_B." in name else tensor for name, tensor in weights.items()
    }


def folded(
    weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The same adapter with its factor multiplied into its weights: what readers that know no metadata,
    and take every alpha for the rank, apply as strong as it is meant.
    """
    plain = {**metadata, "lora_alpha": float(metadata["r"])}
    return rescaled(weights, metadata, plain), plain


def scaling_of(metadata: Mapping[str, Any]) -> float:
    """What an adapter's output is multiplied by."""
    return float(metadata["lora_alpha"]) / int(metadata["r"])


def adapter_weights(network: nn.Module, name: Adapter) -> dict[str, Tensor]:
    """The adapter's weights by the names that weights files use."""
    return dict(get_peft_model_state_dict(network, adapter_name=name))


def adapter_metadata(network: nn.Module, name: Adapter) -> dict[str, Any]:
    """The adapter's rank, alpha and targets, as plain values."""
    config = network.peft_config[name].to_dict()  # type: ignore[union-attr,index]  # set by peft
    return {
        key: sorted(value) if isinstance(value, set) else value for key, value in config.items()
    }


def load_weights(
    network: nn.Module, name: Adapter, weights: Mapping[str, Tensor], place: str
) -> None:
    """Put weights into an attached adapter. Raises InvalidConfig when shapes differ."""
    try:
        put_weights(network, dict(weights), adapter_name=name)
    except RuntimeError as error:
        raise InvalidConfig(f"{place}: does not fit this model: {error}") from error


def merged_copy(network: nn.Module, name: Adapter | None) -> nn.Module:
    """Return a copy of a network, float32 and without adapters, with one of them added to its weights."""
    whole = copy.deepcopy(network).float()
    for module in list(whole.modules()):
        for child_name, child in list(module.named_children()):
            if isinstance(child, BaseTunerLayer):
                if name is not None:
                    child.merge(adapter_names=[name])
                setattr(module, child_name, child.get_base_layer())
    if hasattr(whole, "peft_config"):
        del whole.peft_config
    return whole


def cast_adapter(network: nn.Module, name: Adapter, dtype: torch.dtype) -> None:
    """Keep a frozen adapter in the dtype it is computed in, so that no pass has to cast it."""
    for parameter_name, parameter in network.named_parameters():
        if f".{name}." in parameter_name:
            parameter.data = parameter.data.to(dtype)


def tuner_layers(network: nn.Module) -> list[BaseTunerLayer]:
    return [module for module in network.modules() if isinstance(module, BaseTunerLayer)]


def _attach(network: nn.Module, name: Adapter, config: LoraConfig, place: str) -> None:
    try:
        with warnings.catch_warnings():
            # "Already found a peft_config": several adapters on one network are the point.
            warnings.simplefilter("ignore", UserWarning)
            use_fast_layers(config)
            inject_adapter_in_model(config, network, name)
    except ValueError as error:
        raise InvalidConfig(f"{place}: no layer of this model fits: {error}") from error
    for parameter_name, parameter in network.named_parameters():
        if f".{name}." in parameter_name:
            # peft gives adapters the base's dtype; steps of 1e-5 vanish in bf16 weights.
            parameter.data = parameter.data.float()

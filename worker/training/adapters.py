"""One network, three roles: theta and the expert are adapters on it, the reference is it alone.

peft's switches move `requires_grad` along with the active adapter, and a switch between theta's forward
and its backward pass gives zero gradients without an error. So every switch here ends with theta
active and exactly theta's weights trainable, and `Roles.check_ready` asserts it before a backward pass.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model
from peft import set_peft_model_state_dict as put_weights
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn

from worker.training.config import Lora
from worker.training.failures import InvalidConfig
from worker.training.noise import generator_for

Role = Literal["theta", "expert", "reference"]


def attach_theta(network: nn.Module, lora: Lora, seed: int) -> None:
    """Add the adapter to train: it changes nothing yet, and its start depends on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator_for(seed, 0, "", "adapter").initial_seed())
        _attach(
            network,
            "theta",
            LoraConfig(
                r=lora.rank,
                lora_alpha=lora.effective_alpha,  # type: ignore[arg-type]  # any number works
                target_modules=list(lora.targets),
                init_lora_weights="gaussian",
            ),
            "lora.targets",
        )


def attach_expert(
    network: nn.Module, weights: Mapping[str, Tensor], metadata: Mapping[str, Any]
) -> None:
    """Add the frozen expert. Raises InvalidConfig when its weights do not fit the network."""
    known = LoraConfig.__dataclass_fields__
    config = LoraConfig(**{key: value for key, value in metadata.items() if key in known})
    _attach(network, "expert", config, "expert")
    expected = set(adapter_weights(network, "expert"))
    if expected != set(weights):
        odd = min(expected ^ set(weights))
        raise InvalidConfig(f"expert: does not fit this model: {odd} is on one side only")
    load_weights(network, "expert", weights, "expert")


def adapter_weights(network: nn.Module, role: Role) -> dict[str, Tensor]:
    """The adapter's weights by the names that weights files use."""
    return dict(get_peft_model_state_dict(network, adapter_name=role))


def adapter_metadata(network: nn.Module, role: Role) -> dict[str, Any]:
    """The adapter's rank, alpha and targets, as plain values."""
    config = network.peft_config[role].to_dict()  # type: ignore[union-attr,index]  # set by peft
    return {
        key: sorted(value) if isinstance(value, set) else value for key, value in config.items()
    }


def load_weights(network: nn.Module, role: Role, weights: Mapping[str, Tensor], place: str) -> None:
    """Put weights into an attached adapter. Raises InvalidConfig when shapes differ."""
    try:
        put_weights(network, dict(weights), adapter_name=role)
    except RuntimeError as error:
        raise InvalidConfig(f"{place}: does not fit this model: {error}") from error


class Roles:
    """Switches one network between its roles. Made once, after all adapters are attached."""

    def __init__(self, network: nn.Module) -> None:
        """Look up the layers and weights once: SDXL has thousands, and each step switches four times."""
        self.network = network
        self.layers = [m for m in network.modules() if isinstance(m, BaseTunerLayer)]
        self.theta = {n: p for n, p in network.named_parameters() if ".theta." in n}
        self.others = {n: p for n, p in network.named_parameters() if ".theta." not in n}
        self._switch("theta")

    @contextmanager
    def frozen(self, role: Role) -> Iterator[None]:
        """Predict as `role`, without gradients; afterwards theta is active again."""
        self._switch(role)
        try:
            with torch.no_grad():
                yield
        finally:
            self._switch("theta")

    def check_ready(self) -> None:
        """Assert, before a backward pass, that theta is active and that nothing else would learn."""
        for layer in self.layers:
            if layer.disable_adapters or layer.active_adapters != ["theta"]:
                raise AssertionError(f"theta is not active: {layer.active_adapters}")
        asleep = [name for name, p in self.theta.items() if not p.requires_grad]
        awake = [name for name, p in self.others.items() if p.requires_grad]
        if asleep or awake:
            raise AssertionError(f"not exactly theta would learn: {[*asleep, *awake][0]}")

    def _switch(self, role: Role) -> None:
        for layer in self.layers:
            layer.enable_adapters(role != "reference")
            if role != "reference":
                layer.set_adapter([role])
        for parameter in self.others.values():
            parameter.requires_grad_(False)
        for parameter in self.theta.values():
            parameter.requires_grad_(role == "theta")


def _attach(network: nn.Module, role: Role, config: LoraConfig, place: str) -> None:
    try:
        with warnings.catch_warnings():
            # "Already found a peft_config": two adapters on one network are the point.
            warnings.simplefilter("ignore", UserWarning)
            inject_adapter_in_model(config, network, role)
    except ValueError as error:
        raise InvalidConfig(f"{place}: no layer of this model fits: {error}") from error
    for name, parameter in network.named_parameters():
        if f".{role}." in name:
            # peft gives adapters the base's dtype; steps of 1e-5 vanish in bf16 weights.
            parameter.data = parameter.data.float()

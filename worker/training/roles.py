"""Who predicts: theta, the expert and the reference, on as few copies of the base as possible.

With adapters one network plays all three: theta and the expert are adapters on it, the reference is it
alone. With full fine-tuning theta is a network of its own, and the frozen one plays the others. The negative
is one more adapter on the frozen network, and only has a part in pictures (`worker.training.guidance`).

A switch between theta's forward and its backward pass gives zero gradients without an error. So every
switch here ends with theta active, and `Roles.check_ready` asserts that before a backward pass.

A role that `set_apart` has given modules of its own may be played in another thread than theta learns in.
"""

import copy
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from worker.training.adapters import Adapter, tuner_layers
from worker.training.backbones import Backbone, Text
from worker.training.lora_layers import Order

Role = Literal["theta", "expert", "reference", "negative"]


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a network predicts from, on its device."""

    noisy_BCHW: Tensor
    t_B: Tensor
    text: Text
    size_ids_B6: Tensor


@dataclass(frozen=True, slots=True)
class Player:
    """A network and which of its adapters are on when it plays a role."""

    network: nn.Module
    adapters: tuple[Adapter, ...] = ()


def set_apart(player: Player) -> Player:
    """Give a player a network of its own around the same tensors, which takes no memory for weights."""
    network = player.network
    tensors: dict[int, Any] = {id(each): each for each in network.parameters()}
    tensors |= {id(each): each for each in network.buffers()}
    return replace(player, network=copy.deepcopy(network, tensors))


class Roles:
    """Switches networks between roles. Made once, after all adapters are attached."""

    def __init__(self, backbone: Backbone, players: Mapping[Role, Player]) -> None:
        """Look up layers and weights once: SDXL has thousands, and each step switches several times."""
        self.backbone = backbone
        self.players = dict(players)
        theta = self.players["theta"]
        self.theta_network = theta.network
        # What is called for theta: the network itself, or what several processes wrap it in.
        self.theta_called: nn.Module = theta.network
        self.is_adapter = bool(theta.adapters)
        networks = {id(player.network): player.network for player in self.players.values()}
        self.layers = {key: tuner_layers(network) for key, network in networks.items()}
        self._turns = {key: threading.RLock() for key in networks}
        self.theta: dict[str, nn.Parameter] = {
            name: parameter
            for name, parameter in theta.network.named_parameters()
            if not self.is_adapter or ".theta." in name
        }
        learning = {id(parameter) for parameter in self.theta.values()}
        self.others: dict[str, nn.Parameter] = {
            f"{key}.{name}": parameter
            for key, network in networks.items()
            for name, parameter in network.named_parameters()
            if id(parameter) not in learning
        }
        self._switch(theta)
        for parameter in self.others.values():
            parameter.requires_grad_(False)
        for parameter in self.theta.values():
            parameter.requires_grad_()

    def predict(self, role: Role, inputs: Inputs) -> Tensor:
        """Predict, float32 (B, C, H, W); only theta's prediction carries gradients."""
        if role == "theta":
            return self._call(self.theta_called, inputs)
        with self.frozen(role, "folded" if role == "expert" else "learning") as network:
            return self._call(network, inputs)

    def _call(self, network: nn.Module, inputs: Inputs) -> Tensor:
        return self.backbone.predict(
            network, inputs.noisy_BCHW, inputs.t_B, inputs.text, inputs.size_ids_B6
        )

    @contextmanager
    def frozen(self, role: Role, order: Order = "peft") -> Iterator[nn.Module]:
        """Have a network play a role, without gradients; afterwards theta is active again.

        `order` is how adapters are computed: peft's for pictures. A reference needs theta's, so that their
        predictions are the same where their weights are. Waits where another thread has the network play.
        """
        player = self.players[role]
        with self._turns[id(player.network)]:
            self._switch(player, order)
            try:
                with torch.no_grad():
                    yield player.network
            finally:
                if player.network is self.theta_network:
                    self._switch(self.players["theta"])

    def check_ready(self) -> None:
        """Assert, before a backward pass, that theta is active and that nothing else would learn."""
        player = self.players["theta"]
        for layer in self.layers[id(player.network)]:
            is_on = not layer.disable_adapters and list(layer.active_adapters) == ["theta"]
            if self.is_adapter and not is_on:
                raise AssertionError(f"theta is not active: {layer.active_adapters}")
        asleep = [name for name, p in self.theta.items() if not p.requires_grad]
        awake = [name for name, p in self.others.items() if p.requires_grad]
        if asleep or awake:
            raise AssertionError(f"not exactly theta would learn: {[*asleep, *awake][0]}")

    def _switch(self, player: Player, order: Order = "learning") -> None:
        # Not peft's own set_adapter: it moves requires_grad along, which nothing here wants, and takes
        # milliseconds for SDXL's hundreds of layers, several times a step.
        for layer in self.layers[id(player.network)]:
            layer.__dict__["_disable_adapters"] = not player.adapters
            layer.__dict__["order"] = order
            if player.adapters:
                layer.__dict__["_active_adapter"] = list(player.adapters)

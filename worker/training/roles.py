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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from method.training.failures import NonFinite
from worker.training.adapters import Adapter, tuner_layers
from worker.training.backbones import Backbone, Text
from worker.training.lora_layers import Order

Role = Literal["theta", "expert", "reference", "negative"]


NAMES: dict[Role, str] = {
    "theta": "The network that is trained",
    "expert": "The expert",
    "reference": "The base model's network, or whatever is the reference,",
    "negative": "The negative",
}


class NotFinite(Exception):
    """The first prediction of a role is not finite, for an image in this row."""

    def __init__(self, role: Role, row: int) -> None:
        """Name the role and the row of its batch."""
        super().__init__(f"{role}, row {row}")
        self.role, self.row = role, row


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
        self._seen: set[Role] = set()
        # Whether a frozen role has predicted what is not finite: on the device, which is not waited for.
        self._spoilt: dict[Role, Tensor] = {}
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
        """Predict, float32 (B, C, H, W); only theta's prediction carries gradients.

        Raises NotFinite where a role's first prediction is not: nothing was learned yet that could be blamed.
        """
        if role == "theta":
            predicted = self._call(self.theta_called, inputs)
        else:
            with self.frozen(role, "folded" if role == "expert" else "learning") as network:
                predicted = self._call(network, inputs)
        self._look_at(role, predicted.detach())
        return predicted

    def _look_at(self, role: Role, predicted_BCHW: Tensor) -> None:
        if role in self._seen:
            if role != "theta":
                is_odd = ~torch.isfinite(predicted_BCHW).all()
                before = self._spoilt.get(role)
                self._spoilt[role] = is_odd if before is None else before | is_odd
            return
        self._seen.add(role)
        is_finite_B = torch.isfinite(predicted_BCHW).flatten(1).all(1)
        if not bool(is_finite_B.all()):
            raise NotFinite(role, int(is_finite_B.logical_not().nonzero()[0]))

    @contextmanager
    def naming(self, items: Sequence[Any]) -> Iterator[None]:
        """Raise NonFinite with the item's name where a role's first prediction is not finite."""
        try:
            yield
        except NotFinite as error:
            item = items[error.row % len(items)]
            name = getattr(item, "path", None) or getattr(item, "pair_id", item)
            raise NonFinite(
                f"{NAMES[error.role]} predicts numbers for {name} that are not finite, before anything was "
                f"learned: its weights are damaged, or run over in {self.backbone.dtype}. Get them again, "
                "or try precision fp32"
            ) from error

    def refuse_spoilt(self) -> None:
        """Raise NonFinite where a frozen role has predicted what is not finite: no learning rate helps."""
        for role, is_odd in self._spoilt.items():
            if bool(is_odd):
                raise NonFinite(
                    f"{NAMES[role]} predicts numbers for some images that are not finite: its weights run "
                    f"over in {self.backbone.dtype}; try precision fp32"
                )

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

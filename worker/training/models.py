"""The models of a run: the base, loaded once, and who plays which role on it."""

import copy
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from method.objectives import OBJECTIVES
from method.run_folder import RESULT
from method.training.config import Config, Samples
from method.training.failures import InvalidConfig
from worker.training.adapters import (
    Adapter,
    adapter_metadata,
    adapter_weights,
    attach_adapter,
    attach_start,
    attach_theta,
    cast_adapter,
    folded,
    merged_copy,
    rescaled,
    scaling_of,
)
from worker.training.backbones import Backbone
from worker.training.backbones.loading import load_backbone
from worker.training.backbones.weights import base_weights, hash_adapter, hash_weights
from worker.training.frozen_layers import keep_less
from worker.training.origins import (
    Origin,
    describe_base,
    describe_words,
    origin_of,
    refuse_other_base,
    refuse_other_words,
)
from worker.training.roles import Player, Role, Roles, set_apart
from worker.training.sharding import fill, whole

NETWORK = "network"
ADAPTER = "adapter"
EXACT = "exact.safetensors"
"""The weights of an adapter before its factor is multiplied in, in checkpoints alone."""


@dataclass(frozen=True, slots=True)
class Models:
    """A loaded base with its roles."""

    backbone: Backbone
    roles: Roles
    expert_sha256: str | None
    negative_sha256: str | None
    origin: Origin = field(default_factory=dict)
    """Where what this run trains comes from."""


def load_models(
    config: Config,
    device: torch.device,
    shard: Callable[[nn.Module], None] | None = None,
    apart: Collection[Role] = (),
) -> Models:
    """Load the base, the expert and the negative where the config names them, and theta at its start.

    `shard` puts a network's part of this process on the device, where a whole one might not fit. Roles that
    stand `apart` can be played in another thread than theta learns in. Raises InvalidConfig where a model
    cannot be loaded or does not fit the others.
    """
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    backbone = load_backbone(config.model, config.flow, device, dtype)
    # Theta starts at the reference only where norms of both compute in the same precision.
    backbone.is_mixed = config.theta.mode == "full"
    if shard is None:
        _place(backbone.network, device)
    players: dict[Role, Player] = {"reference": Player(backbone.network)}
    base, expert_sha256 = describe_base(backbone), None
    if config.expert is not None:
        players["expert"], expert_sha256 = _load_expert(config, backbone, base)
    if config.objective.reference == "sft":
        players["reference"] = players["expert"]
    negative_sha256 = None
    if config.samples.negative is not None:
        players["negative"], negative_sha256 = _load_negative(backbone, config.samples, base)
    # Last, because a copy of the network is taken as the others have made it.
    players["theta"] = _make_theta(config, backbone, players.get("expert"), base)
    frozen: tuple[Adapter, ...] = ("expert", "negative")
    for name in frozen:
        cast_adapter(backbone.network, name, dtype)
    keep_less(players["theta"].network)
    players |= {role: set_apart(players[role]) for role in apart}
    if shard is not None:
        backbone.network_fingerprint()  # of whole weights, which nobody has afterwards
        # Before weights are looked up by name: a sharded network has other ones.
        for network in {id(player.network): player.network for player in players.values()}.values():
            shard(network)
    roles = Roles(backbone, players)
    if config.optimization.gradient_checkpointing:
        backbone.enable_gradient_checkpointing(roles.theta_network)
    origin = {"base": base, "words": describe_words(config), "objective": config.objective.kind}
    return Models(backbone, roles, expert_sha256, negative_sha256, origin)


def compile_blocks(network: nn.Module) -> None:
    """Compile the blocks that a network repeats: one graph serves all of them."""
    compiled: Any = network
    # One for each role, with and without gradients, and each order of computing adapters.
    dynamo: Any = torch._dynamo.config  # noqa: SLF001  # where torch keeps it
    dynamo.recompile_limit = max(dynamo.recompile_limit, 32)
    compiled.compile_repeated_blocks()


def theta_weights(roles: Roles, *, keep: bool = True) -> dict[str, Tensor]:
    """Theta's weights by the names that weights files use: of the adapter, or of the whole network.

    Of a sharded theta all processes have to call this; those that do not `keep` them get none.
    """
    weights: dict[str, Tensor] = whole(_weights_in_place(roles), keep=keep)
    return weights


def save_theta(
    backbone: Backbone,
    roles: Roles,
    folder: Path,
    weights: Mapping[str, Tensor],
    origin: Mapping[str, Any] | None = None,
    *,
    is_exact: bool = True,
) -> Path:
    """Write these weights of theta as diffusers loads it; return the weights file.

    An adapter's factor is multiplied into it. With `is_exact` the weights stand beside that as they are, where
    they differ: `restore_theta` has to give back the very bits.
    """
    if not roles.is_adapter:
        return backbone.save_network(folder, weights)
    metadata = adapter_metadata(roles.theta_network, "theta")
    whole, plain = folded(weights, metadata)
    if origin is not None:
        plain["origin"] = dict(origin)
    file = backbone.save_adapter(folder, whole, plain)
    if is_exact and scaling_of(metadata) != 1:
        on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        save_file(on_cpu, folder / EXACT)
    return file


@torch.no_grad()
def restore_theta(backbone: Backbone, roles: Roles, folder: Path) -> None:
    """Put what `save_theta` wrote back into theta. Raises InvalidConfig where it does not fit."""
    if not roles.is_adapter:
        weights = backbone.load_network(folder)
    elif (folder / EXACT).is_file():
        weights = load_file(folder / EXACT)
    else:
        weights, metadata = backbone.load_adapter(folder)
        weights = rescaled(weights, metadata, adapter_metadata(roles.theta_network, "theta"))
    mine = _weights_in_place(roles)
    for name in mine.keys() ^ weights.keys():
        raise InvalidConfig(f"{folder}: does not fit this model: {name} is on one side only")
    for name, tensor in mine.items():
        # In place: the optimizer and several processes hold on to these very tensors.
        fill(tensor, weights[name])


def _weights_in_place(roles: Roles) -> dict[str, Tensor]:
    """The very tensors that are trained, sharded where theta is."""
    if roles.is_adapter:
        return adapter_weights(roles.theta_network, "theta")
    return base_weights(roles.theta_network)


def _place(network: Any, device: torch.device) -> None:
    network.to(device)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)


def _load_expert(config: Config, backbone: Backbone, base: Origin) -> tuple[Player, str]:
    folder = Path(str(config.expert))
    is_network = _holds_network(folder)
    weights, metadata = (
        (backbone.load_network(folder), None) if is_network else backbone.load_adapter(folder)
    )
    origin = origin_of(folder, metadata)
    refuse_other_base(origin, base, "expert", folder)
    if config.objective.facts.needs_expert:
        refuse_other_words(origin, config, folder)
    if metadata is None:
        network = copy.deepcopy(backbone.network)
        network.load_state_dict(weights)
        return Player(network.requires_grad_(False)), hash_weights(weights)
    attach_adapter(backbone.network, "expert", weights, metadata, "expert")
    return Player(backbone.network, ("expert",)), hash_adapter(weights, metadata)


def _load_negative(backbone: Backbone, samples: Samples, base: Origin) -> tuple[Player, str]:
    folder = Path(str(samples.negative))
    _check_negative(backbone, folder, samples.guidance)
    weights, metadata = backbone.load_adapter(folder)
    refuse_other_base(origin_of(folder, metadata), base, "samples.negative", folder)
    attach_adapter(backbone.network, "negative", weights, metadata, "samples.negative")
    return Player(backbone.network, ("negative",)), hash_adapter(weights, metadata)


def _check_negative(backbone: Backbone, folder: Path, guidance: float) -> None:
    """Raise InvalidConfig where the folder is no finished npo run, or nothing would come of it."""
    network: Any = backbone.network
    if getattr(network.config, "guidance_embeds", False):
        raise InvalidConfig(
            "samples.negative: this model is told its guidance by an embedding and has no "
            "unconditional branch that another one could take; remove it"
        )
    if guidance <= 1:
        raise InvalidConfig(
            "samples.negative: takes part in classifier-free guidance, and samples.guidance of 1 or "
            "less has none; raise that or remove this"
        )
    if _holds_network(folder):
        raise InvalidConfig(
            f"samples.negative: {folder} holds a whole network; give an npo run with theta.mode lora"
        )
    results = (folder / RESULT, folder.parent / RESULT)
    found = next((path for path in results if path.is_file()), None)
    if found is None:
        return  # an adapter folder on its own; attaching it shows whether it fits
    try:
        objective = json.loads(found.read_text(encoding="utf-8"))["objective"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InvalidConfig(f"samples.negative: {found} is no result of a run: {error}") from error
    if objective not in OBJECTIVES or not OBJECTIVES[objective].makes_negative:
        raise InvalidConfig(
            f"samples.negative: {folder} is of a run of {objective}; the negative comes from npo"
        )


def _make_theta(config: Config, backbone: Backbone, expert: Player | None, base: Origin) -> Player:
    network, init = backbone.network, config.theta.init
    if config.theta.mode == "full":
        return Player(_make_network(config, backbone, expert, base))
    if init == "base":
        attach_theta(network, config.lora, backbone.lora_targets, config.seed)
        return Player(network, ("theta",))
    if init == "path":
        folder = Path(str(config.theta.init_path))
        weights, metadata = backbone.load_adapter(folder)
        refuse_other_base(origin_of(folder, metadata), base, "theta.init_path", folder)
        attach_start(network, config.lora, weights, metadata, "theta.init_path")
        return Player(network, ("theta",))
    assert expert is not None
    if not expert.adapters:
        raise InvalidConfig(
            "theta.init: the expert is a whole network, so an adapter cannot start as it; choose "
            "theta.mode full"
        )
    weights, metadata = adapter_weights(network, "expert"), adapter_metadata(network, "expert")
    attach_start(network, config.lora, weights, metadata, "theta.init")
    return Player(network, ("theta",))


def _make_network(
    config: Config, backbone: Backbone, expert: Player | None, base: Origin
) -> nn.Module:
    """A network of theta's own, float32."""
    if config.theta.init == "base":
        return merged_copy(backbone.network, None)
    if config.theta.init == "sft":
        assert expert is not None
        return merged_copy(expert.network, "expert" if expert.adapters else None)
    folder = Path(str(config.theta.init_path))
    if not _holds_network(folder):
        raise InvalidConfig(
            f"theta.init_path: {folder} holds an adapter; with theta.mode full give the folder of a "
            "whole network"
        )
    refuse_other_base(origin_of(folder), base, "theta.init_path", folder)
    network = merged_copy(backbone.network, None)
    network.load_state_dict(backbone.load_network(folder))
    return network


def _holds_network(folder: Path) -> bool:
    return (folder / "config.json").is_file() or (folder / NETWORK / "config.json").is_file()

"""What a finished run leaves: the weights in the formats that other tools load, a card, and the result."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from method.files import hash_file, sync
from method.run_folder import RESULT
from method.training.config import Config
from method.training.config_reading import to_dict
from method.training.examination import Examination
from method.training.failures import InvalidConfig
from method.training.winning import Winning, read_winning
from worker.training.adapters import adapter_metadata, folded
from worker.training.backbones import Backbone
from worker.training.backbones.weights import hash_adapter, hash_weights
from worker.training.card import write_card
from worker.training.disk import writing
from worker.training.examining import keep_examination
from worker.training.exporting import about_base, save_kohya
from worker.training.files import replace_file
from worker.training.inputs import Inputs
from worker.training.models import ADAPTER, NETWORK, save_theta
from worker.training.roles import Roles

log = logging.getLogger(__name__)

KOHYA = "kohya.safetensors"
DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run went."""

    steps: int
    best_step: int | None
    """The step whose weights are the result, where validation chose one."""
    expert_sha256: str | None
    final: Mapping[str, Any]
    """The last logged values."""
    rollbacks: int
    origin: Mapping[str, Any]
    """Which base the weights were trained on, and with what wording."""
    examination: Examination | None = None
    """What the expert knows of attributes: the one that was made, or the one that taught."""
    winning: Winning | None = None
    """What the winning part of a stage 2 run says at its end."""
    notes: tuple[str, ...] = ()
    """What differs from what one might expect, a sentence each."""


def write_results(
    config: Config,
    folder: Path,
    backbone: Backbone,
    roles: Roles,
    weights: Mapping[str, Tensor],
    inputs: Inputs,
    outcome: Outcome,
) -> dict[str, Any]:
    """Write theta's weights; result.json comes last, and says that the run is finished."""
    place = folder / (ADAPTER if roles.is_adapter else NETWORK)
    with writing(place, "the weights"):
        file = save_theta(backbone, roles, place, weights, outcome.origin, is_exact=False)
    kohya = _write_kohya(config, place, backbone, roles, weights)
    weights_sha256 = _hash(weights, roles)
    examined = outcome.examination
    if examined is not None and config.objective.facts.makes_expert:
        examined = replace(examined, expert_sha256=weights_sha256)
        keep_examination(folder, examined)
    result = {
        "steps": outcome.steps,
        "best_step": outcome.best_step,
        "final": outcome.final,
        "adapter": f"{place.name}/{file.name}",
        "sha256": hash_file(file),
        "weights_sha256": weights_sha256,
        "kohya": f"{place.name}/{kohya.name}" if kohya else None,
        "objective": config.objective.kind,
        "family": backbone.family,
        "model": to_dict(config)["model"],
        "expert_sha256": outcome.expert_sha256,
        "rollbacks": outcome.rollbacks,
        "examination": examined.as_dict() if examined else None,
        "origin": dict(outcome.origin),
        "winning": outcome.winning.in_words() if outcome.winning else None,
        "notes": list(outcome.notes),
        **_describe(config, inputs),
    }
    with writing(place / "README.md"):
        write_card(place / "README.md", config, result)
        for path in (*place.iterdir(), place):
            sync(path)
    replace_file(folder / RESULT, json.dumps(result, indent=2, ensure_ascii=False))
    sync(folder)
    log.info("Finished after %d steps; the weights are %s.", outcome.steps, file)
    return result


def judge(config: Config, rows: Sequence[Mapping[str, Any]]) -> Winning | None:
    """Say what the winning part of a stage 2 run's logged steps comes to; None for other runs."""
    objective = config.objective
    if not objective.facts.needs_expert:
        return None
    omegas = (objective.omega_w, objective.omega_l) if objective.facts.is_guided else None
    found = read_winning(rows, omegas)
    if found is not None:
        log.log(logging.WARNING if found.is_bad else logging.INFO, "%s", found.in_words())
    return found


def _hash(weights: Mapping[str, Tensor], roles: Roles) -> str:
    """What a run that takes these weights for its expert or negative calls them by."""
    if roles.is_adapter:
        return hash_adapter(*folded(weights, adapter_metadata(roles.theta_network, "theta")))
    return hash_weights(weights)


def _describe(config: Config, inputs: Inputs) -> dict[str, Any]:
    source = inputs.source
    criteria = {"name": source.criteria, "sha256": source.criteria_sha256}
    return {
        "dataset": {"name": source.name, "sha256": source.sha256},
        "criteria": criteria if source.criteria is not None else None,
        "images": len(inputs.items),
        "skipped_without_negative": inputs.num_skipped,
        "images_with_long_prompts": inputs.num_chunked,
        "includes_test_images": config.data.split == "all",
    }


def _write_kohya(
    config: Config, place: Path, backbone: Backbone, roles: Roles, weights: Mapping[str, Tensor]
) -> Path | None:
    """The adapter once more for ComfyUI and A1111, where it can be expressed for them."""
    if not (config.export.kohya and roles.is_adapter):
        return None
    try:
        with writing(place / KOHYA):
            return save_kohya(
                place / KOHYA,
                {name: tensor.detach().cpu() for name, tensor in weights.items()},
                adapter_metadata(roles.theta_network, "theta"),
                backbone.family,
                DTYPES[config.export.dtype],
                about_base(backbone),
            )
    except InvalidConfig as error:
        log.warning("There is no file for ComfyUI and A1111: %s", error)
        return None

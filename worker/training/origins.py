"""Where an adapter or network comes from, written beside its weights: which base, which wording.

An adapter fits every base of its shape and an expert answers to any words, so that nothing but this tells a
stranger's from the right one.
"""

import base64
import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from method.run_folder import RESULT
from method.training.config import Config
from method.training.failures import InvalidConfig
from taxonomy.prompt import SEPARATOR, TEMPLATE_ID
from worker.training.backbones import Backbone
from worker.training.backbones.weights import base_weights, hash_weights
from worker.training.noise import Diffusion, Schedule

log = logging.getLogger(__name__)

Origin = dict[str, Any]
PROBES = 512
"""Numbers of a base that are kept, to tell a base that was only rounded from another one."""
ROUNDING = 0.01
"""Relative difference that number formats of 16 bits explain."""
WORDS = {
    "template": "the template of prompts",
    "separator": "the separator of prompts",
    "polarity_markers": "text.polarity_markers",
    "order": "text.order",
    "reducer": "text.reducer",
    "null": "text.null",
}


def describe_base(backbone: Backbone) -> Origin:
    """The base model by its content, whatever folder it lies in and in what number format it was loaded."""
    weights = base_weights(backbone.network)
    rounded = {name: tensor.detach().to(torch.bfloat16) for name, tensor in weights.items()}
    return {
        "family": backbone.family,
        "schedule": _describe_schedule(backbone.schedule),
        "sha256": hash_weights(rounded),
        "probe": _probe(backbone.network),
    }


def describe_words(config: Config) -> Origin:
    text = config.text
    words: Origin = {
        "template": TEMPLATE_ID,
        "separator": SEPARATOR,
        "polarity_markers": text.polarity_markers,
        "order": text.order,
        "reducer": text.reducer,
    }
    # An expert that was never shown the empty condition knows neither kind of it.
    if not config.objective.facts.makes_expert or config.objective.drop_all > 0:
        words["null"] = text.null
    return words


def origin_of(folder: Path, metadata: Mapping[str, Any] | None = None) -> Origin:
    """What is known of the origin of weights: by their own file, or by the result of their run."""
    if metadata and isinstance(metadata.get("origin"), dict):
        return dict(metadata["origin"])
    for place in (folder, folder.parent):
        try:
            found = json.loads((place / RESULT).read_text(encoding="utf-8"))["origin"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(found, dict):
            return found
    return {}


def refuse_other_base(origin: Origin, base: Origin, place: str, folder: Path) -> None:
    """Raise InvalidConfig where weights were trained on another base than this one.

    Says so in the log where they do not tell, or where only the number format differs.
    """
    theirs = origin.get("base")
    if not isinstance(theirs, dict):
        log.warning(
            "%s: %s does not say on which base model it was trained; nobody can check that it fits.",
            place,
            folder,
        )
        return
    for name, what in (("family", "a model of kind"), ("schedule", "a model with noise schedule")):
        if theirs.get(name) != base[name]:
            raise InvalidConfig(
                f"{place}: does not fit this model: {folder} was trained on {what} {theirs.get(name)}; model.path is one of "
                f"{base[name]}"
            )
    if theirs.get("sha256") == base["sha256"]:
        return
    if not _is_near(theirs.get("probe"), base["probe"]):
        raise InvalidConfig(
            f"{place}: {folder} was trained on another base model than model.path: its network's weights "
            f"differ (sha256 {str(theirs.get('sha256'))[:12]} there, {base['sha256'][:12]} here); give the "
            "base that it was trained on, or train it anew on this one"
        )
    log.warning(
        "%s: %s was trained on weights that differ a little from model.path's, as another number format of "
        "the same base does.",
        place,
        folder,
    )


def refuse_other_words(origin: Origin, config: Config, folder: Path) -> None:
    """Raise InvalidConfig where an expert learned texts in another wording than it would be asked in."""
    theirs, ours = origin.get("words"), describe_words(config)
    if not isinstance(theirs, dict):
        log.warning("expert: %s does not say how the texts were worded that it learned.", folder)
        return
    for name, what in WORDS.items():
        if name in theirs and name in ours and theirs[name] != ours[name]:
            raise InvalidConfig(
                f"{what}: is {ours[name]}, but the expert in {folder} was trained with {theirs[name]}; it "
                "would be asked in words that it does not know. Give both stages the same, or train the "
                "expert anew"
            )


def _describe_schedule(schedule: Schedule) -> str:
    if not isinstance(schedule, Diffusion):
        return "flow matching"
    levels = hashlib.sha256(schedule.alphas_cumprod_T.float().numpy().tobytes()).hexdigest()
    return f"{schedule.prediction}, {levels[:12]}"


def _probe(network: nn.Module) -> str:
    """Numbers spread over the weights, as float32 in base64."""
    weights = base_weights(network)
    names = sorted(weights)
    chosen = names[:: max(1, len(names) // PROBES)][:PROBES]
    values = []
    for name in chosen:
        flat = weights[name].detach().flatten()
        values.append(flat[len(flat) // 2].float().cpu())
    return base64.b64encode(torch.stack(values).numpy().tobytes()).decode()


def _is_near(theirs: object, ours: str) -> bool:
    if not isinstance(theirs, str) or len(theirs) != len(ours):
        return False
    try:
        one, two = (
            torch.frombuffer(bytearray(base64.b64decode(each)), dtype=torch.float32)
            for each in (theirs, ours)
        )
    except ValueError:
        return False
    least = 1e-6
    return bool(((one - two).abs() <= ROUNDING * two.abs() + least).all())

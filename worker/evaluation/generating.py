"""Generates the images to compare: one for each prompt and model, from the same seeds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from worker.evaluation.reading import Case, FinishedRun
from worker.training.adapters import Role, Roles, attach_expert, attach_theta, load_weights
from worker.training.backbones.sdxl import SDXL, load_sdxl
from worker.training.batches import Encodings
from worker.training.checkpoints import file_hash
from worker.training.config import Config, to_dict
from worker.training.failures import InvalidConfig
from worker.training.run import choose_device, hash_weights, set_threads


@dataclass(frozen=True, slots=True)
class Models:
    """The base pipeline loaded once, and the models that it can be."""

    backbone: SDXL
    encodings: Encodings
    roles: Roles
    names: dict[str, Role]
    """Model name to adapter role, the base first."""
    identity: dict[str, Any]
    """What the base is: path, number of weights, hashes."""
    doubts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Generated:
    """An image as it was saved."""

    model: str
    index: int
    file: str
    sha256: str


def load_models(run: FinishedRun) -> Models:
    """Load the base and put the run's adapters on it. Raises InvalidConfig where one does not fit.

    An expert that is gone or was changed is left out, with a sentence in `doubts`: base and target
    can be compared without it.
    """
    config = run.config
    set_threads(config)
    dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
    backbone = load_sdxl(config.model, choose_device(config), dtype)
    backbone.check_resolution(config.data.resolution)
    identity = {
        **to_dict(config)["model"],
        "weights": sum(p.numel() for p in backbone.network.parameters()),
        "unet_sha256": hash_weights(backbone.network.state_dict()),
        "encoders_sha256": backbone.fingerprint(),
    }
    attach_theta(backbone.network, config.lora, config.seed)
    weights, _ = backbone.load_adapter((run.folder / run.result["adapter"]).parent)
    load_weights(backbone.network, "theta", weights, str(run.folder / "adapter"))
    names: dict[str, Role] = {"base": "reference", "target": "theta"}
    doubts = []
    if config.expert is not None:
        doubt = _attach_expert(backbone, Path(config.expert), run.result.get("expert_sha256"))
        if doubt is None:
            names["expert"] = "expert"
        else:
            doubts.append(doubt)
    encodings = Encodings(backbone, config.data.resolution, None)
    return Models(backbone, encodings, Roles(backbone.network), names, identity, tuple(doubts))


def sampling_of(config: Config, models: Models) -> dict[str, Any]:
    """How the images are made: as the run made its samples."""
    return {
        "sampler": type(models.backbone.pipeline.scheduler).__name__,
        "steps": config.samples.steps,
        "guidance": config.samples.guidance,
        "resolution": config.data.resolution,
        "precision": config.precision,
        "device": models.backbone.device.type,
        "threads": torch.get_num_threads(),
    }


def generate(
    models: Models,
    config: Config,
    cases: Sequence[Case],
    folder: Path,
    say: Callable[[str], None],
) -> list[Generated]:
    """Save a PNG for each model and case in `folder`; every model starts from the same noise."""
    # All texts first, because the text encoders' memory is given back before the images are made.
    models.encodings.text(["", *(case.prompt for case in cases)])
    models.backbone.release_encoders()
    made = []
    for model, role in models.names.items():
        for case in cases:
            say(f"Generating {model}: {case.index + 1} of {len(cases)}.")
            path = folder / f"{model}-{case.index:04d}.png"
            _save_image(models, role, config, case, path)
            made.append(Generated(model, case.index, path.name, file_hash(path)))
    return made


def _save_image(models: Models, role: Role, config: Config, case: Case, path: Path) -> None:
    texts = models.encodings.text([case.prompt, ""])
    with models.roles.frozen(role):
        image = models.backbone.sample(
            texts.row(0),
            texts.row(1),
            seed=case.seed,
            steps=config.samples.steps,
            guidance=config.samples.guidance,
            resolution=config.data.resolution,
        )
    image.save(path, format="PNG")


def _attach_expert(backbone: SDXL, folder: Path, recorded: str | None) -> str | None:
    """Attach the run's expert, or say in a sentence why it is left out."""
    try:
        weights, metadata = backbone.load_adapter(folder)
    except InvalidConfig as error:
        return f"The expert is left out: {error}."
    if hash_weights(weights) != recorded:
        return f"The expert is left out: {folder} was changed since the run used it."
    attach_expert(backbone.network, weights, metadata)
    return None

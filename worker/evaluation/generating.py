"""Generates the images to compare: one for each prompt and model, from the same seeds."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from method.files import hash_file
from method.items import NO_MEMORY, Failed, Failures, attempt
from method.training.config import Config, Objective, Optimization, Scale, Theta
from method.training.config_reading import to_dict
from method.training.failures import Ended, InvalidConfig, OutOfMemory
from worker.evaluation.reading import CannotEvaluate, Case, FinishedRun
from worker.training import models as training_models
from worker.training.backbones import Backbone
from worker.training.backbones.diffusers_backbone import DiffusersBackbone
from worker.training.backbones.weights import base_weights, hash_weights
from worker.training.cores import set_threads
from worker.training.encodings import Encodings
from worker.training.engine import Engine
from worker.training.guidance import against_negative
from worker.training.roles import Player, Role, Roles


@dataclass(frozen=True, slots=True)
class Compared:
    """A model to compare: a role, guided by itself or against the negative."""

    name: str
    role: Role
    is_against_negative: bool = False


@dataclass(frozen=True, slots=True)
class Models:
    """The base loaded once, and the models that it can be."""

    backbone: Backbone
    encodings: Encodings
    roles: Roles
    compared: tuple[Compared, ...]
    """The base first."""
    identity: dict[str, Any]
    """What the base is: path, number of weights, hashes."""
    negative: dict[str, Any] | None
    """Which negative takes part, where one does."""
    doubts: tuple[str, ...]


@dataclass(slots=True)
class Made:
    """What came of generating: the images, those that failed, and the cases that these belong to."""

    images: list["Generated"] = field(default_factory=list)
    failures: Failures = field(default_factory=Failures)
    lost: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Generated:
    """An image as it was saved."""

    model: str
    index: int
    file: str
    sha256: str


def load_models(run: FinishedRun, negative: Path | None) -> Models:
    """Load the base, what the run made of it, its expert, and the negative of an npo run where one is given.

    An expert that is gone or was changed is left out, with a sentence in `doubts`: the others can be
    compared without it. Raises InvalidConfig where anything else does not load or fit.
    """
    set_threads(run.config)
    loaded, doubt = _load(run, negative)
    backbone = loaded.backbone
    roles = Roles(backbone, {**loaded.roles.players, "reference": Player(backbone.network)})
    is_with_expert = run.config.expert is not None and doubt is None
    return Models(
        backbone=backbone,
        encodings=Encodings(backbone, None, null_is_zeros=False),
        roles=roles,
        compared=tuple(_compared(run.config, is_with_expert, negative is not None)),
        identity=_identify(backbone, run.config),
        negative=_describe_negative(run.config, negative, loaded.negative_sha256),
        doubts=() if doubt is None else (doubt,),
    )


def sampling_of(config: Config, models: Models) -> dict[str, Any]:
    """How the images are made: as the run made its samples."""
    assert isinstance(models.backbone, DiffusersBackbone)
    return {
        "sampler": type(models.backbone.pipeline.scheduler).__name__,
        "steps": config.samples.steps,
        "guidance": config.samples.guidance,
        "negative": models.negative,
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
) -> Made:
    """Save a PNG for each model and case in `folder`; every model starts from the same noise.

    An image that cannot be made is left out, and its case for the models that come later, too. Raises
    OutOfMemory or CannotEvaluate where no case is left.
    """
    # All texts first, because the text encoders' memory is given back before the images are made.
    models.encodings.text(["", *(case.prompt for case in cases)])
    models.backbone.release_encoders()
    made = Made()
    for compared in models.compared:
        with _playing(models, compared, config) as network:
            for case in cases:
                if case.index in made.lost:
                    continue
                say(f"Generating {compared.name}: {case.index + 1} of {len(cases)}.")
                path = folder / f"{compared.name}-{case.index:04d}.png"
                paint = partial(_save_image, models, network, config, path=path)
                failed = attempt(paint, case, partial(_name_of, compared))
                if isinstance(failed, Failed):
                    made.failures.note(failed)
                    made.lost.add(case.index)
                else:
                    made.images.append(
                        Generated(compared.name, case.index, path.name, hash_file(path))
                    )
        if len(made.lost) == len(cases):
            raise _nothing_made(made.failures)
    return made


def _name_of(compared: Compared, case: Case) -> str:
    return f"{compared.name} for prompt {case.index + 1}"


def _nothing_made(failures: Failures) -> Ended:
    if all(each.reason == NO_MEMORY for each in failures.named):
        return OutOfMemory("Out of GPU memory: use a GPU with more, or train with precision bf16")
    return CannotEvaluate(failures.sentence("images"))


def _load(run: FinishedRun, negative: Path | None) -> tuple[training_models.Models, str | None]:
    """The models, with the expert or else with a sentence about why it is left out."""
    expert, doubt = run.config.expert, None
    if expert is not None:
        try:
            loaded = _load_with(run, negative, expert)
        except InvalidConfig as error:
            doubt = f"The expert is left out: {error}."
        else:
            if loaded.expert_sha256 != run.result.get("expert_sha256"):
                doubt = f"The expert is left out: {expert} was changed since the run used it."
            return loaded, doubt
    # Where it was not the expert that failed, this fails the same way.
    return _load_with(run, negative, None), doubt


def _load_with(
    run: FinishedRun, negative: Path | None, expert: str | None
) -> training_models.Models:
    config = _finished_config(run, negative, expert)
    return training_models.load_models(config, Engine(config).device)


def _finished_config(run: FinishedRun, negative: Path | None, expert: str | None) -> Config:
    """The config of a run that would start as this one ended, on one process."""
    config = run.config
    kind = config.objective.kind
    return replace(
        config,
        objective=Objective(
            kind="sft" if config.objective.facts.needs_expert and expert is None else kind,
            reference="base" if expert is None else "sft",
        ),
        expert=expert,
        theta=Theta(mode=config.theta.mode, init="path", init_path=str(run.folder)),
        samples=replace(config.samples, negative=None if negative is None else str(negative)),
        optimization=Optimization(),
        scale=Scale(),
    )


def _compared(config: Config, is_with_expert: bool, is_with_negative: bool) -> list[Compared]:  # noqa: FBT001
    found = [Compared("base", "reference"), Compared("target", "theta")]
    if is_with_expert:
        found.append(Compared("expert", "expert"))
    if is_with_negative:
        found.append(Compared("base+npo", "reference", is_against_negative=True))
        # What an npo run made is a negative itself, and nothing to be guided against one.
        if not config.objective.facts.makes_negative:
            found.append(Compared("target+npo", "theta", is_against_negative=True))
    return found


def _identify(backbone: Backbone, config: Config) -> dict[str, Any]:
    weights = base_weights(backbone.network)
    return {
        **to_dict(config)["model"],
        "family": backbone.family,
        "weights": sum(tensor.numel() for tensor in weights.values()),
        "network_sha256": hash_weights(weights),
        "encoders_sha256": backbone.fingerprint(),
    }


def _describe_negative(
    config: Config, folder: Path | None, sha256: str | None
) -> dict[str, Any] | None:
    if folder is None:
        return None
    return {"folder": str(folder), "sha256": sha256, "merge": config.samples.negative_merge}


def _playing(
    models: Models, compared: Compared, config: Config
) -> AbstractContextManager[nn.Module]:
    if compared.is_against_negative:
        return against_negative(models.roles, compared.role, config.samples.negative_merge)
    return models.roles.frozen(compared.role)


def _save_image(models: Models, network: nn.Module, config: Config, case: Case, path: Path) -> None:
    texts = models.encodings.text([case.prompt, ""])
    image = models.backbone.sample(
        network,
        texts.row(0),
        texts.row(1),
        seed=case.seed,
        steps=config.samples.steps,
        guidance=config.samples.guidance,
        size=(config.data.resolution, config.data.resolution),
    )
    image.save(path, format="PNG")

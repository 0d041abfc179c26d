"""From a config to its objective and what that is made of."""

from importlib import import_module
from pathlib import Path

from method.training.config import Config
from method.training.config_reading import to_dict
from worker.training.batches import Drawing
from worker.training.encodings import Encodings, fingerprint_of
from worker.training.models import Models
from worker.training.objectives import Objective, Parts
from worker.training.stopping import Between, go_on
from worker.training.teacher import TeacherCache


def make_objective(parts: Parts) -> Objective:
    module = import_module(f"worker.training.objectives.{parts.config.objective.facts.module}")
    made: Objective = module.make(parts)
    return made


def make_parts(
    config: Config, models: Models, *, asks_ahead: bool = False, between: Between = go_on
) -> Parts:
    """Put together what objectives are made of; to ask ahead takes roles that stand apart."""
    backbone, cache = models.backbone, config.data.cache_folder
    return Parts(
        config=config,
        backbone=backbone,
        roles=models.roles,
        encodings=Encodings(
            backbone, Path(cache) if cache else None, null_is_zeros=config.text.null == "zeros"
        ),
        drawing=Drawing(
            backbone.schedule,
            config.seed,
            config.noise.timesteps,
            config.noise.offset,
            config.objective.time_weight,
            config.objective.snr_gamma,
        ),
        teacher=_open_teacher(config, models),
        asks_ahead=asks_ahead,
        between=between,
    )


def _open_teacher(config: Config, models: Models) -> TeacherCache | None:
    if config.teacher.cache_folder is None:
        return None
    values = to_dict(config)
    identity = {
        "network": models.backbone.network_fingerprint(),
        "is_mixed": models.backbone.is_mixed,
        "encoders": fingerprint_of(models.backbone),
        "expert": models.expert_sha256,
        "reference": config.objective.reference,
        "precision": config.precision,
        "null": config.text.null,
        "seed": config.seed,
        "noise": values["noise"],
        "flow": values["flow"],
    }
    return TeacherCache(Path(config.teacher.cache_folder), config.teacher.dtype, identity)

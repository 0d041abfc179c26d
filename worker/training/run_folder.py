"""A run folder: one process at a time, one config, one log."""

import fcntl
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from worker.training.config import Config
from worker.training.config_reading import from_dict, to_dict
from worker.training.failures import Ended, InvalidConfig

# A run may go on with these changed: they say where things are, not what is computed.
PLACES = (
    "run_folder",
    "dataset_folder",
    "pairs_folder",
    "expert",
    "theta.init_path",
    "samples.negative",
    "threads",
    "device",
    "data.cache_folder",
    "teacher.cache_folder",
    "scale.accelerate_config",
    "tracking.tensorboard",
    "tracking.mlflow",
    "tracking.wandb",
)


def refuse_other_config(config: Config, folder: Path) -> None:
    """Raise InvalidConfig where the folder holds a run that computes something else."""
    path = folder / "config.yaml"
    if not path.exists():
        return
    before = _flatten(_read_before(path))
    now = _flatten(to_dict(config))
    for name in sorted(before.keys() | now.keys()):
        if name not in PLACES and before.get(name) != now.get(name):
            raise InvalidConfig(
                f"{name}: is {now.get(name)}, but the run in {folder} was started with "
                f"{before.get(name)}; use another run folder"
            )


def _read_before(path: Path) -> dict[str, Any]:
    """The config that the run was started with. Options that came with a later version had their defaults."""
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    try:
        return to_dict(from_dict(values))
    except InvalidConfig:
        # It has options that are gone by now: the comparison names them.
        return values


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def read_rollbacks(folder: Path) -> list[dict[str, int]]:
    """The steps from and to which the run went back so far."""
    path = folder / "rollbacks.json"
    found: list[dict[str, int]] = json.loads(path.read_text()) if path.is_file() else []
    return found


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder; two processes in one would write over each other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise InvalidConfig(f"run_folder: {folder} cannot be written: {error}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Ended(f"{folder}: another process is training in this run folder") from None
        yield


def log_to(path: Path) -> logging.Handler:
    """Have the trainer's log written to a file, too."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("worker.training")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler

"""A run folder: one process at a time, one run, one log."""

import fcntl
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from method.files import hash_file
from method.run_folder import CONFIG, LOCK, RESULT
from method.training.config import Config
from method.training.config_reading import from_dict, plain, to_dict
from method.training.failures import Ended, InvalidConfig
from method.training.strict_yaml import read_yaml
from worker.training.disk import reason_of
from worker.training.files import read_json

log = logging.getLogger(__name__)

# Where things are, and by what means a run computes: not what comes out but for the rounding of sums.
MEANS = (
    "run_folder",
    "dataset_folder",
    "pairs_folder",
    "expert",
    "theta.init_path",
    "samples.negative",
    "threads",
    "device",
    "data.cache_folder",
    "data.encode",
    "teacher.cache_folder",
    "optimization.gradient_checkpointing",
    "optimization.compile",
    "checkpoints.every",
    "checkpoints.keep",
    "validation.expert_images",
    "scale.sharding",
    "scale.accelerate_config",
    "tracking.tensorboard",
    "tracking.mlflow",
    "tracking.wandb",
)
RESULTS = ("export.kohya", "export.dtype")
"""What only the end of a run looks at."""
BATCH = "optimization.batch_size x gradient_accumulation x scale.processes"


def computed(config: Config) -> dict[str, Any]:
    """What a run computes, by the names of the options that decide it.

    Two configs of which this is the same give the same weights at every step, up to the rounding of sums:
    so a run may go on with the other one. Options that come to the same stand here as what they come to:
    how a step's images are cut into passes and dealt out, by what words the learning rate or the
    adapter's factor are said. What the run does not read is left out.
    """
    flat = _flatten(to_dict(config))
    wanted = config.optimization
    for name in (*MEANS, *RESULTS):
        del flat[name]
    for name in ("optimization.batch_size", "optimization.gradient_accumulation"):
        del flat[name]
    del flat["scale.processes"], flat["optimization.scale_lr"]
    flat[BATCH] = config.images_per_step
    flat["optimization.learning_rate"] = config.effective_learning_rate
    if wanted.max_steps is not None:
        del flat["optimization.epochs"]
    del flat["lora.alpha"], flat["lora.scaling"]
    flat["lora.scaling x lora.rank"] = config.lora.effective_alpha
    if config.theta.mode == "full":
        flat = {name: value for name, value in flat.items() if not name.startswith("lora.")}
    if config.teacher.cache_folder is None:
        # Without a cache predictions are as precise as they come.
        flat["teacher.dtype"] = "fp32"
    if not config.objective.facts.samples_itself:
        flat = {name: value for name, value in flat.items() if not name.startswith("spo.")}
    return flat


def refuse_other_config(config: Config, folder: Path, *, is_finished: bool = False) -> None:
    """Raise InvalidConfig where the folder holds a run that computes something else.

    A config.yaml that is damaged is written anew: the checkpoints, too, say what they belong to.
    """
    path = folder / CONFIG
    if not path.exists():
        return
    try:
        values = read_yaml(path)
        if not isinstance(values, dict):
            raise InvalidConfig("it holds no options")
    except (InvalidConfig, OSError) as error:
        log.warning("%s is damaged and written anew: %s", path, error)
        return
    before, now = _both(values, config)
    if is_finished:
        for each, flat in ((before, _flatten(values)), (now, _flatten(to_dict(config)))):
            each |= {name: flat[name] for name in RESULTS if name in flat}
    refuse_different(now, before, str(folder))


def refuse_different(now: Mapping[str, Any], before: Mapping[str, Any], place: str) -> None:
    """Raise InvalidConfig naming the first option that differs."""
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            raise InvalidConfig(
                f"{name}: is {now.get(name)}, but the run in {place} was started with "
                f"{before.get(name)}; use another run folder"
            )


def _both(values: dict[str, Any], config: Config) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the run computed so far and what is asked for now, by the same names.

    Options that came with a later version had their defaults.
    """
    with suppress(InvalidConfig):
        return computed(from_dict(values)), computed(config)
    # It has options that are gone by now: the comparison names them.
    sides = (_flatten(values), _flatten(to_dict(config)))
    before, now = (
        {name: value for name, value in flat.items() if name not in (*MEANS, *RESULTS)}
        for flat in sides
    )
    return before, now


def _flatten(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = plain(value)
    return flat


def read_result(folder: Path) -> dict[str, Any] | None:
    """The result of a finished run; None where there is none, or where it or its weights are damaged.

    A run of which the result is damaged goes on from its last checkpoint, and writes it again.
    """
    path = folder / RESULT
    found = read_json(path, {"steps": int, "adapter": str, "sha256": str})
    if found is None:
        return None
    weights = folder / found["adapter"]
    problem = "gone"
    with suppress(OSError):
        problem = "" if hash_file(weights) == found["sha256"] else "changed since"
    if problem:
        log.warning("%s names weights that are %s: the run's end is done again.", path, problem)
        return None
    return found


def read_rollbacks(folder: Path) -> list[dict[str, int]] | None:
    """The steps from and to which the run went back so far; None where the file is damaged."""
    path = folder / "rollbacks.json"
    if not path.exists():
        return []
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, list):
            return [{"from": int(each["from"]), "to": int(each["to"])} for each in found]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        pass
    log.warning("%s is damaged; what the newest checkpoint knows of it is taken.", path)
    return None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run folder; two processes in one would write over each other."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / LOCK).open("w")
    except OSError as error:
        reason, way_out = reason_of(error) or (str(error), "name another folder")
        raise InvalidConfig(
            f"run_folder: {folder} cannot be written: {reason}; {way_out}"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Ended(f"{folder}: another process is training in this run folder") from None
        yield


class LogFile(logging.FileHandler):
    """The log of a run. On a full disk it falls silent: what the run itself cannot write ends it."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Say nothing: a traceback for each line would bury the sentence that counts."""

    def close(self) -> None:
        """Close, whether or not the last lines find room."""
        with suppress(OSError):
            super().close()


def log_to(path: Path) -> logging.Handler:
    """Have the trainer's log written to a file, too."""
    handler = LogFile(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("worker.training")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler

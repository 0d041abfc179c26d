"""Metrics and samples for TensorBoard, MLflow and Weights & Biases, besides the run folder.

A tracker is an extra: it never stops a run and never makes one wait. Each has a thread of its own that
takes what the run hands it from a queue, connects included, and keeps trying when a server is away; its
first failure is logged and later ones are not. What does not fit the queue meanwhile is dropped: the run
folder has it all. Only `close` waits, for `CLOSE_SECONDS` in all.

Tokens and passwords stay in the environment variables that the trackers read themselves: nothing here
writes them, and log lines, files and the values handed on have them masked.
"""

import json
import logging
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from queue import Queue
from typing import Any, Protocol

from method.training.config import Tracking
from method.training.failures import InvalidConfig
from worker.training.files import replace_file

log = logging.getLogger(__name__)

MAX_WAITING = 1000
"""Calls that wait for a tracker before new ones are dropped."""
CLOSE_SECONDS = 30.0
"""How long the end of a run waits for what the trackers still have to send."""
REQUEST_SECONDS = 10
"""How long MLflow waits for an answer, unless its own environment variable says otherwise."""
PROJECT = "morelli"
"""MLflow's experiment, and where TensorBoard shows config and result."""
SECRETS = (
    "WANDB_API_KEY",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "DATABRICKS_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
)
"""Environment variables whose values are masked wherever they turn up."""


class Tracker(Protocol):
    """What each of the three does. Methods may block and may raise; `_Background` sees to both."""

    name: str

    def start(self) -> None: ...
    def log(self, step: int, values: Mapping[str, float]) -> None: ...
    def log_image(self, step: int, name: str, path: Path) -> None: ...
    def close(self, result: Mapping[str, Any] | None) -> None: ...


class Trackers:
    """All trackers of a run. No method raises because of a tracker."""

    def __init__(self, trackers: Sequence[Tracker]) -> None:
        """Start a thread for each."""
        self.backgrounds = [_Background(tracker) for tracker in trackers]

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Hand on the numbers among `values`; step and time have places of their own."""
        numbers = {
            name: float(value)
            for name, value in values.items()
            if isinstance(value, int | float) and name not in ("step", "time")
        }
        for background in self.backgrounds:
            background.ask(lambda tracker: tracker.log(step, numbers))

    def log_image(self, step: int, name: str, path: Path) -> None:
        """Hand on a picture. `name` is the same at every step; the file has to stay."""
        for background in self.backgrounds:
            background.ask(lambda tracker: tracker.log_image(step, name, path))

    def close(self, result: Mapping[str, Any] | None) -> None:
        """Say that the run is finished with this result, or with None that it ended before its end."""
        masked = None if result is None else _masked(result)
        for background in self.backgrounds:
            background.ask_last(lambda tracker: tracker.close(masked))
        ends_at = time.monotonic() + CLOSE_SECONDS
        for background in self.backgrounds:
            background.wait(max(0.0, ends_at - time.monotonic()))


def open_trackers(
    tracking: Tracking, run_folder: Path, config_values: Mapping[str, Any], step: int = 0
) -> Trackers:
    """Open the trackers that the config asks for; in a run with several processes, in the first alone.

    `step` is the step the run goes on from. The run folder's trackers.json keeps the ids of the runs at
    MLflow and Weights & Biases, so that a resumed run goes on there too. Metrics between the checkpoint
    and the kill are sent again: TensorBoard shows the later ones, the other two both.

    Raises InvalidConfig when a package is missing. A server that cannot be reached is no error.
    """
    values, ids = _masked(config_values), _Ids(run_folder / "trackers.json")
    wanted: list[Tracker] = []
    if tracking.tensorboard:
        _need("tensorboard", "torch.utils.tensorboard", "tensorboard")
        wanted.append(TensorBoard(run_folder / "tensorboard", values, step))
    if tracking.mlflow is not None:
        _need("mlflow", "mlflow", "mlflow-skinny (or mlflow)")
        wanted.append(MLflow(tracking.mlflow, run_folder.resolve().name, values, ids))
    if tracking.wandb is not None:
        _need("wandb", "wandb", "wandb")
        wanted.append(WeightsAndBiases(tracking.wandb, run_folder.resolve(), values, ids))
    return Trackers(wanted)


class TensorBoard:
    """Event files in the run folder."""

    name = "TensorBoard"

    def __init__(self, folder: Path, values: Mapping[str, Any], step: int) -> None:
        self.folder, self.values, self.step = folder, values, step

    def start(self) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # Of a resumed run the steps after the checkpoint come again: hide those of the killed one.
        self.writer = SummaryWriter(
            str(self.folder), purge_step=self.step + 1 if self.step else None, flush_secs=10
        )
        self._write_text("config", self.values, self.step)

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.step = step
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)

    def log_image(self, step: int, name: str, path: Path) -> None:
        import numpy as np
        from PIL import Image

        with Image.open(path) as image:
            self.writer.add_image(name, np.array(image.convert("RGB")), step, dataformats="HWC")

    def close(self, result: Mapping[str, Any] | None) -> None:
        if result is not None:
            self._write_text("result", result, self.step)
        self.writer.close()

    def _write_text(self, name: str, values: Mapping[str, Any], step: int) -> None:
        # Indented by four, it is shown as written.
        text = json.dumps(values, indent=2, ensure_ascii=False, default=str)
        indented = "\n".join(f"    {line}" for line in text.split("\n"))
        self.writer.add_text(f"{PROJECT}/{name}", indented, step)


class MLflow:
    """A run of the experiment `morelli`, at a server or in a folder."""

    name = "MLflow"

    def __init__(self, uri: str, run_name: str, values: Mapping[str, Any], ids: "_Ids") -> None:
        self.uri, self.run_name, self.values, self.ids = uri, run_name, values, ids

    def start(self) -> None:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(REQUEST_SECONDS))
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        if "://" not in self.uri:
            # A folder is what was asked for, though MLflow would rather have a database.
            os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        from mlflow import MlflowClient

        uri = self.uri if "://" in self.uri else Path(self.uri).resolve().as_uri()
        self.client = MlflowClient(tracking_uri=uri)
        self.run_id = self._take_up_run() or self._make_run()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value in values.items()]
        self.client.log_batch(self.run_id, metrics=metrics)

    def log_image(self, step: int, name: str, path: Path) -> None:
        self.client.log_artifact(self.run_id, str(path), f"samples/{name}/step-{step:06d}")

    def close(self, result: Mapping[str, Any] | None) -> None:
        if result is not None:
            self.client.log_dict(self.run_id, dict(result), "result.json")
        self.client.set_terminated(self.run_id, "KILLED" if result is None else "FINISHED")

    def _take_up_run(self) -> str | None:
        """The run that was begun before, unless this server does not have it."""
        from mlflow.exceptions import MlflowException

        run_id = self.ids.get("mlflow")
        if run_id is None:
            return None
        try:
            self.client.set_terminated(run_id, "RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return run_id

    def _make_run(self) -> str:
        from mlflow.entities import Param

        found = self.client.get_experiment_by_name(PROJECT)
        experiment_id = (
            self.client.create_experiment(PROJECT) if found is None else found.experiment_id
        )
        run_id = str(self.client.create_run(experiment_id, run_name=self.run_name).info.run_id)
        self.ids.put("mlflow", run_id)
        # 100 in one call and 500 characters each are what every version of MLflow takes.
        params = [Param(key, str(value)[:500]) for key, value in _flat(self.values)]
        for start in range(0, len(params), 100):
            self.client.log_batch(run_id, params=params[start : start + 100])
        return run_id


class WeightsAndBiases:
    """A run of a Weights & Biases project, written to the run folder unless WANDB_MODE is set.

    Each resume makes one more offline folder with the same id; `wandb sync` of all of them makes one run.
    """

    name = "Weights & Biases"

    def __init__(
        self, project: str, run_folder: Path, values: Mapping[str, Any], ids: "_Ids"
    ) -> None:
        self.project, self.run_folder, self.values, self.ids = project, run_folder, values, ids

    def start(self) -> None:
        # Else the end of the process waits until everything is uploaded.
        os.environ.setdefault("WANDB_FINISH_TIMEOUT", str(CLOSE_SECONDS))
        import wandb

        run_id = self.ids.get("wandb")
        if run_id is None:
            run_id = secrets.token_hex(4)
            self.ids.put("wandb", run_id)
        self.run = wandb.init(
            project=self.project,
            id=run_id,
            resume="allow",
            name=self.run_folder.name,
            config=dict(self.values),
            dir=str(self.run_folder),
            mode=None if "WANDB_MODE" in os.environ else "offline",
            # Metrics, not the program or what it prints.
            settings=wandb.Settings(console="off", silent=True, disable_git=True, save_code=False),
        )
        # With wandb's own step, which only grows, the steps of a resumed run would be dropped.
        self.run.define_metric("*", step_metric="step")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.run.log({**values, "step": step})

    def log_image(self, step: int, name: str, path: Path) -> None:
        import wandb

        self.run.log({name: wandb.Image(str(path)), "step": step})

    def close(self, result: Mapping[str, Any] | None) -> None:
        if result is not None:
            self.run.summary.update({"result": dict(result)})
        self.run.finish(exit_code=1 if result is None else 0)


class _Background:
    """A tracker and the thread that calls it."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.waiting: Queue[Callable[[Tracker], None] | None] = Queue()
        self.has_started = self.has_failed = False
        self.thread = threading.Thread(target=self._work, name=tracker.name, daemon=True)
        self.thread.start()

    def ask(self, call: Callable[[Tracker], None]) -> None:
        """Have the thread make a call, after those before it."""
        if self.waiting.qsize() < MAX_WAITING:
            self.waiting.put(call)
        else:
            self._fail("it is too slow, so metrics are dropped")

    def ask_last(self, call: Callable[[Tracker], None]) -> None:
        """Have the thread make a last call and end."""
        self.waiting.put(call)
        self.waiting.put(None)

    def wait(self, seconds: float) -> None:
        """Give the thread this long to end."""
        self.thread.join(seconds)
        if self.thread.is_alive():
            self._fail("it did not take the last metrics in time")

    def _work(self) -> None:
        while (call := self.waiting.get()) is not None:
            self._make(call)

    def _make(self, call: Callable[[Tracker], None]) -> None:
        try:
            if not self.has_started:
                self.tracker.start()
                self.has_started = True
            call(self.tracker)
        except Exception as error:  # noqa: BLE001  # whatever a tracker raises, the run goes on
            self._fail(f"{type(error).__name__}: {error}")

    def _fail(self, why: str) -> None:
        if not self.has_failed:
            self.has_failed = True
            log.warning(
                "%s does not take this run's metrics: %s. The run goes on; metrics.jsonl has them all, "
                "and further failures of it are not logged.",
                self.tracker.name,
                _mask(why),
            )


class _Ids:
    """The ids of a run at its trackers, in a file. Two trackers' threads write it."""

    def __init__(self, path: Path) -> None:
        self.path, self.lock = path, threading.Lock()

    def get(self, tracker: str) -> str | None:
        value = self._read().get(tracker)
        return value if isinstance(value, str) else None

    def put(self, tracker: str, run_id: str) -> None:
        with self.lock:
            replace_file(self.path, json.dumps(self._read() | {tracker: run_id}, indent=2) + "\n")

    def _read(self) -> dict[str, Any]:
        """What the file says; one that is unreadable costs a second run there, no more."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}


def _need(field: str, module: str, package: str) -> None:
    try:
        import_module(module)
    except ImportError as error:
        raise InvalidConfig(
            f"tracking.{field}: needs the package {package}; install it, or leave this out"
        ) from error


def _mask(text: str) -> str:
    """The text without passwords in addresses and without the values of secret variables."""
    for name in SECRETS:
        if value := os.environ.get(name):
            text = text.replace(value, "***")
    return re.sub(r"(?<=://)[^/\s]*@", "***@", text)


def _masked(values: Any) -> Any:
    """The same values, with every text in them masked."""
    if isinstance(values, str):
        return _mask(values)
    if isinstance(values, Mapping):
        return {key: _masked(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_masked(value) for value in values]
    return values


def _flat(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by its dotted path."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value

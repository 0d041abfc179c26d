"""Trackers: the real packages in folders and offline where they are installed, and what failures do."""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from method.training.config import Config, Samples, Tracking
from method.training.failures import InvalidConfig
from tests.worker.training.conftest import quick
from worker.training import tracking
from worker.training.metrics import read_lines
from worker.training.run import run
from worker.training.tracking import Trackers, open_trackers

CONFIG = {"seed": 3, "optimization": {"learning_rate": 1e-5, "max_steps": None}, "words": ["a"]}


def needs(package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        find_spec(package) is None, reason=f"the optional package {package} is not installed"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run folder with one sample."""
    folder = tmp_path / "run-7"
    (folder / "samples").mkdir(parents=True)
    Image.new("RGB", (16, 8), (200, 30, 30)).save(folder / "samples" / "step-000002-00.png")
    return folder


def train(wanted: Tracking, folder: Path, steps: range, result: Mapping[str, Any] | None) -> None:
    """Log these steps, after a resume at the step before them."""
    trackers = open_trackers(wanted, folder, CONFIG, steps.start - 1)
    for step in steps:
        trackers.log(step, {"step": step, "loss": 1 / step, "epoch": 0, "time": 5.0, "note": "no"})
    trackers.log_image(2, "a house", folder / "samples" / "step-000002-00.png")
    trackers.close(result)


class Fake:
    """A tracker that keeps what it gets, waits or fails."""

    name = "Fake"

    def __init__(self, act: Callable[[], None] = lambda: None) -> None:
        self.act = act
        self.got: list[Any] = []

    def start(self) -> None:
        self.act()
        self.got.append("start")

    def log(self, step: int, values: Mapping[str, float]) -> None:
        self.act()
        self.got.append((step, dict(values)))

    def log_image(self, step: int, name: str, path: Path) -> None:
        self.act()
        self.got.append((step, name, path))

    def close(self, result: Mapping[str, Any] | None) -> None:
        self.act()
        self.got.append(("close", result))


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_without_trackers_nothing_happens(tmp_path: Path) -> None:
    trackers = open_trackers(Tracking(), tmp_path, CONFIG)
    trackers.log(1, {"loss": 1.0})
    trackers.close({})
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_gets_the_numbers_in_order_and_the_result(tmp_path: Path) -> None:
    fake = Fake()
    trackers = Trackers([fake])
    trackers.log(1, {"step": 1, "loss": 0.5, "epoch": 2, "time": 9.0, "note": "text", "none": None})
    trackers.log_image(1, "a house", tmp_path / "x.png")
    trackers.close({"final": {"loss": 0.5}})
    assert fake.got == [
        "start",
        (1, {"loss": 0.5, "epoch": 2.0}),
        (1, "a house", tmp_path / "x.png"),
        ("close", {"final": {"loss": 0.5}}),
    ]


def test_a_failing_tracker_is_logged_once_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> None:
        raise OSError("no route to http://ann:secret@host:5000/api")

    good = Fake()
    trackers = Trackers([Fake(fail), good])
    for step in range(1, 6):
        trackers.log(step, {"loss": 1.0})
    trackers.close(None)
    assert [entry[0] for entry in good.got[1:]] == [1, 2, 3, 4, 5, "close"]
    (message,) = warnings_of(caplog)
    assert "no route to http://***@host:5000/api" in message
    assert "The run goes on" in message


def test_a_tracker_that_comes_back_gets_what_follows() -> None:
    failures = iter([True, True])

    def fail_twice() -> None:
        if next(failures, False):
            raise OSError("away")

    fake = Fake(fail_twice)
    trackers = Trackers([fake])
    for step in (1, 2, 3):
        trackers.log(step, {"loss": 1.0})
    trackers.close(None)
    assert fake.got == ["start", (3, {"loss": 1.0}), ("close", None)]


def test_a_hanging_tracker_holds_up_neither_the_run_nor_its_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tracking, "CLOSE_SECONDS", 1.0)
    monkeypatch.setattr(tracking, "MAX_WAITING", 3)
    free, taken = threading.Event(), threading.Semaphore(0)
    hanging, good = Fake(lambda: (free.wait(60), None)[1]), Fake(taken.release)
    trackers = Trackers([hanging, good])
    try:
        for step in range(1, 20):
            trackers.log(step, {"loss": 1.0})
            # So short a queue is full at once where the good one's thread waits for its turn.
            assert taken.acquire(timeout=60)
        trackers.close(None)
        assert hanging.got == []
        assert good.got[-1] == ("close", None)
        (message,) = warnings_of(caplog)
        assert "too slow" in message
    finally:
        free.set()


@pytest.mark.parametrize(
    ("wanted", "module", "package"),
    [
        (Tracking(tensorboard=True), "torch.utils.tensorboard", "tensorboard"),
        (Tracking(mlflow="runs"), "mlflow", "mlflow-skinny"),
        (Tracking(wandb="paintings"), "wandb", "wandb"),
    ],
)
def test_a_missing_package_is_named(
    wanted: Tracking, module: str, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidConfig, match=rf"^tracking\.\w+: needs the package {package}"):
        open_trackers(wanted, tmp_path, CONFIG)
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_masked_in_what_trackers_and_the_log_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok-123")
    given: list[Mapping[str, Any]] = []

    class Spy(Fake):
        def __init__(self, uri: str, run_name: str, values: Mapping[str, Any], ids: object) -> None:
            given.append(values)
            super().__init__(self.fail)

        def fail(self) -> None:
            raise OSError("Bearer tok-123 refused at postgresql://ann:p@ss@db/x")

    monkeypatch.setattr(tracking, "MLflow", Spy)
    monkeypatch.setattr(tracking, "import_module", lambda name: None)
    uri = "https://ann:secret@host/x"
    values = {"tracking": {"mlflow": uri}, "list": [uri, 1], "plain": "http://host/a"}
    open_trackers(Tracking(mlflow=uri), tmp_path, values).close(None)
    masked = "https://***@host/x"
    assert given == [
        {"tracking": {"mlflow": masked}, "list": [masked, 1], "plain": "http://host/a"}
    ]
    (message,) = warnings_of(caplog)
    assert "Bearer *** refused at postgresql://***@db/x" in message


@needs("tensorboard")
def test_tensorboard_has_metrics_samples_config_and_result(folder: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(Tracking(tensorboard=True), folder, range(1, 4), {"loss": 0.25})
    found = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert found.Tags()["scalars"] == ["loss", "epoch"]
    losses = [(event.step, event.value) for event in found.Scalars("loss")]
    assert losses == [(1, 1.0), (2, 0.5), (3, pytest.approx(1 / 3))]
    (image,) = found.Images("a house")
    assert (image.step, image.width, image.height) == (2, 16, 8)
    texts = {
        name: found.Tensors(f"morelli/{name}/text_summary")[0].tensor_proto.string_val[0]
        for name in ("config", "result")
    }
    assert json.loads(texts["config"]) == CONFIG
    assert json.loads(texts["result"]) == {"loss": 0.25}


@needs("tensorboard")
def test_tensorboard_shows_the_steps_of_the_resumed_run(folder: Path) -> None:
    """Killed after step 5 with a checkpoint of step 2, and resumed from there."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(Tracking(tensorboard=True), folder, range(1, 6), None)
    train(Tracking(tensorboard=True), folder, range(3, 5), {})
    found = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert [event.step for event in found.Scalars("loss")] == [1, 2, 3, 4]


@needs("mlflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_mlflow_has_one_run_for_a_run_that_was_resumed(folder: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    wanted = Tracking(mlflow=str(tmp_path / "mlflow"))
    train(wanted, folder, range(1, 4), None)
    client = MlflowClient(tracking_uri=(tmp_path / "mlflow").as_uri())
    experiment = client.get_experiment_by_name("morelli")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.info.run_name) == ("KILLED", "run-7")

    train(wanted, folder, range(4, 6), {"loss": 0.2})
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.status == "FINISHED"
    assert run.data.params == {
        "seed": "3",
        "optimization.learning_rate": "1e-05",
        "optimization.max_steps": "None",
        "words": "['a']",
    }
    losses = [
        (metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, "loss")
    ]
    assert losses == [(step, 1 / step) for step in range(1, 6)]
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert (artifacts / "samples/a house/step-000002/step-000002-00.png").is_file()
    assert json.loads((artifacts / "result.json").read_text()) == {"loss": 0.2}


@needs("mlflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_mlflow_elsewhere_gets_a_new_run(folder: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    for place in ("here", "there"):
        train(Tracking(mlflow=str(tmp_path / place)), folder, range(1, 3), {})
    client = MlflowClient(tracking_uri=(tmp_path / "there").as_uri())
    experiment = client.get_experiment_by_name("morelli")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert json.loads((folder / "trackers.json").read_text()) == {"mlflow": run.info.run_id}


@needs("mlflow")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_mlflow_server_that_is_away_stops_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    train(Tracking(mlflow="http://ann:secret@127.0.0.1:9"), folder, range(1, 3), {})
    message, *rest = [text for text in warnings_of(caplog) if "The run goes on" in text]
    assert not rest
    assert message.startswith("MLflow does not take")
    assert "secret" not in caplog.text
    assert not (folder / "trackers.json").exists()


@needs("wandb")
def test_wandb_writes_offline_runs_of_one_id_and_no_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "ab12" * 10
    monkeypatch.setenv("WANDB_API_KEY", secret)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    for steps, result in ((range(1, 4), None), (range(3, 6), {"loss": 0.2})):
        train(Tracking(wandb="paintings"), folder, steps, result)
        time.sleep(1.1)  # wandb names its folders by the second
    run_id = json.loads((folder / "trackers.json").read_text())["wandb"]
    parts = [path for path in (folder / "wandb").glob("offline-run-*") if path.is_dir()]
    assert [path.name.rsplit("-", 1)[1] for path in parts] == [run_id, run_id]
    for part in parts:
        data = (part / f"run-{run_id}.wandb").read_bytes()
        assert b"learning_rate" in data
        assert b"loss" in data
        assert list(part.glob("files/media/images/*.png"))
    for path in folder.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes(), path
    assert "WANDB_MODE" not in os.environ


@needs("tensorboard")
def test_a_run_reports_its_metrics_and_samples(sft: Config) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    samples = Samples(every=2, prompts=("a house",), steps=2, guidance=2.0)
    run(replace(quick(sft, 2), samples=samples, tracking=Tracking(tensorboard=True)))
    found = EventAccumulator(str(Path(sft.run_folder) / "tensorboard")).Reload()
    rows = read_lines(Path(sft.run_folder) / "metrics.jsonl")
    assert [(e.step, e.value) for e in found.Scalars("loss")] == [
        (row["step"], pytest.approx(row["loss"])) for row in rows
    ]
    assert [e.step for e in found.Images("target: a house, seed 0")] == [0, 2]

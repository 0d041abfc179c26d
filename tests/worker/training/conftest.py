"""One tiny model and one finished expert for all tests of training."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from method.training.config import Checkpoints, Config, Optimization, Samples
from method.training.config_reading import write_yaml
from method.training.recipes import tiny_cpo, tiny_sft
from tests.worker.training.datasets import write_dataset
from worker.training.run import run
from worker.training.tiny_model import make_tiny_sdxl

# diffusers' schedulers read tensors in a way that NumPy 2 will drop; nothing we could change.
DIFFUSERS_AND_NUMPY = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"

Start = Callable[[Config], subprocess.Popen[str]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(DIFFUSERS_AND_NUMPY))


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_sdxl(tmp_path_factory.mktemp("model") / "tiny", fit=False)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("dataset") / "houses", 8)


@pytest.fixture(scope="session")
def expert(tiny_model: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a finished stage 1."""
    folder = tmp_path_factory.mktemp("expert") / "run"
    run(quick(tiny_sft(str(folder), str(dataset), str(tiny_model), ("a house",)), 4))
    return folder


@pytest.fixture
def cpo(tmp_path: Path, tiny_model: Path, dataset: Path, expert: Path) -> Config:
    """A stage 2 run of six steps, checkpointed every second."""
    config = tiny_cpo(str(tmp_path / "run"), str(dataset), str(tiny_model), str(expert))
    return quick(config, 6)


@pytest.fixture
def sft(tmp_path: Path, tiny_model: Path, dataset: Path) -> Config:
    """A stage 1 run of six steps, checkpointed every second."""
    return quick(tiny_sft(str(tmp_path / "run"), str(dataset), str(tiny_model)), 6)


# All of a run but writing its result.
ENDLESS = """
import sys, time
from worker.training.__main__ import main
import worker.training.under_way
worker.training.under_way.write_results = lambda *_: time.sleep(600)
main(sys.argv[1:])
"""


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a run as its own process, as the worker does."""
    return lambda config: _start(tmp_path, config, "-m", "worker.training")


@pytest.fixture
def start_endless(tmp_path: Path) -> Start:
    """The same, but it does not finish: no machine is so fast that a kill comes too late."""
    return lambda config: _start(tmp_path, config, "-c", ENDLESS)


def _start(folder: Path, config: Config, *program: str) -> subprocess.Popen[str]:
    path = folder / "config.yaml"
    path.write_text(write_yaml(config))
    return subprocess.Popen(
        [sys.executable, *program, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def quick(config: Config, steps: int) -> Config:
    return replace(
        config,
        optimization=Optimization(
            max_steps=steps, batch_size=2, gradient_accumulation=2, learning_rate=1e-3
        ),
        checkpoints=Checkpoints(every=2, keep=2),
        samples=Samples(every=0, prompts=config.samples.prompts, steps=2, guidance=2.0),
    )

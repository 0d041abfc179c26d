"""Installations to be killed, and what an unbroken training comes to."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.up import worker_command
from tests.chaos.processes import House, Program, wait_until
from tests.chaos.trainings import Materials, Outcome, train_unbroken
from tests.worker.training.datasets import write_dataset

# diffusers' schedulers read tensors in a way that NumPy 2 will drop; nothing we could change.
DIFFUSERS_AND_NUMPY = "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"

StartWorker = Callable[[], Program]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(DIFFUSERS_AND_NUMPY))


@pytest.fixture(scope="session")
def materials(tmp_path_factory: pytest.TempPathFactory) -> Materials:
    """The tiny model with random weights, and eight pictures."""
    from worker.training.tiny_model import make_tiny_sdxl

    folder = tmp_path_factory.mktemp("materials")
    return Materials(
        make_tiny_sdxl(folder / "tiny", fit=False), write_dataset(folder / "houses", 8)
    )


@pytest.fixture(scope="session")
def unbroken(materials: Materials, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """What a training that nothing happens to comes to."""
    return train_unbroken(materials, tmp_path_factory.mktemp("unbroken") / "run")


@pytest.fixture
def start_worker(clean_database: None, tmp_path: Path) -> Iterator[StartWorker]:
    """Start a worker as `morelli up` does, on the servers of the tests."""
    started: list[Program] = []

    def start() -> Program:
        log = tmp_path / f"worker-{len(started)}.txt"
        program = Program(worker_command(), log, dict(os.environ))
        started.append(program)
        return program

    yield start
    for program in started:
        program.clean_up()


@pytest.fixture
def house() -> Iterator[House]:
    """An installation that is not there yet."""
    with tempfile.TemporaryDirectory(prefix="chaos") as folder:
        house = House(Path(folder))
        yield house
        house.clean_up()
        wait_until(
            lambda: not any(program.family() for program in house.programs), "all is gone", 20
        )

"""A home of its own for each test, and a supervisor that can be killed."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app import embedded

HERE = Path(__file__).parent
ROOT = HERE.parents[2]

Supervise = Callable[..., "subprocess.Popen[str]"]


def _fast_folder() -> str | None:
    """Memory, where there is enough of it: a thousand small files per test are slow on a disk."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2_000_000_000
    return str(memory) if roomy and os.access(memory, os.W_OK) else None


@pytest.fixture
def new_home() -> Iterator[Path]:
    """A home that is not there yet; its path is short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="m", dir=_fast_folder()) as folder:
        yield Path(folder) / "home"


@pytest.fixture(scope="session")
def stopped_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose servers ran once; to be copied only."""
    home = tmp_path_factory.mktemp("stopped") / "home"
    embedded.start(home, durable=False).stop()
    return home


@pytest.fixture
def home(new_home: Path, stopped_home: Path) -> Path:
    """A home whose servers ran before: five times faster than making a database anew."""
    shutil.copytree(stopped_home, new_home)
    return new_home


@pytest.fixture
def supervise(home: Path) -> Iterator[Supervise]:
    """Start supervise.py on the home and wait until it says that the servers are up."""
    started: list[subprocess.Popen[str]] = []

    def begin(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "supervise.py"), str(home), *arguments],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("ready")
        return process

    yield begin
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

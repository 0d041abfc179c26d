"""What measures training, in an environment that holds what training needs and nothing else, and cut short."""

import importlib.metadata
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
NEEDED = (
    "torch",
    "diffusers",
    "peft",
    "transformers",
    "accelerate",
    "safetensors",
    "numpy",
    "pillow",
)
"""With all that these need themselves."""


class Alone:
    """Runs programs of bench/ without any other package."""

    def __init__(self, home: Path) -> None:
        self.home, packages = home, home / "packages"
        packages.mkdir()
        for name in _needed():
            distribution = importlib.metadata.distribution(name)
            for top in {file.parts[0] for file in distribution.files or ()}:
                place = Path(str(distribution.locate_file(top)))
                if top not in ("..", "__pycache__") and not (packages / top).exists():
                    (packages / top).symlink_to(place)
        self.environment = {
            **os.environ,
            "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}",
            "PYTHONNOUSERSITE": "1",
        }

    def start(self, *command: str) -> subprocess.Popen[str]:
        # Not the virtual environment's, which would find all that is installed there.
        python = getattr(sys, "_base_executable", sys.executable)
        return subprocess.Popen(
            [python, *command, "--folder", str(self.home / "materials")],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _needed() -> set[str]:
    found: set[str] = set()
    waiting = list(NEEDED)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        try:
            needs = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another platform
        found.add(name)
        wanted = [Requirement(each) for each in needs]
        waiting += [
            each.name
            for each in wanted
            if each.marker is None or each.marker.evaluate({"extra": ""})
        ]
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    return Alone(tmp_path_factory.mktemp("alone"))


def measured(path: Path) -> Iterator[dict[str, Any]]:
    """What a measurement has kept, as soon as it keeps something."""
    while True:
        if path.exists():
            yield json.loads(path.read_text(encoding="utf-8"))
        time.sleep(0.05)


def test_a_step_is_profiled(alone: Alone) -> None:
    process = alone.start("-m", "bench.training_profile", "--quick", "--rows", "5")
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert re.search(r"one step, profiled: [\d.]+ ms, \d+ operations", out)
    assert "aten::mkldnn_convolution" in out or "aten::convolution" in out


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_measured_before_an_end_is_kept(
    alone: Alone, tmp_path: Path, how: signal.Signals
) -> None:
    kept = tmp_path / "found.json"
    process = alone.start("-m", "bench.training", "--quick", "--json", str(kept))
    found = next(measured(kept))
    process.send_signal(how)
    out, _ = process.communicate()
    assert [len(found["measured"]["baseline"]), found["is_whole"]] == [1, False]
    assert "plain loop: Diffusion-DPO" in out, "its row was printed before the end"
    if how == signal.SIGTERM:
        assert "NOT MEASURED: CPO-S, cold: expert asked in each step" in out
        assert "what stabilising costs" in out
    # Nobody goes on computing, and what was measured still stands.
    assert json.loads(kept.read_text(encoding="utf-8"))["measured"].keys() == {"baseline"}


def test_a_measurement_ends_when_its_time_is_up(alone: Alone, tmp_path: Path) -> None:
    kept = tmp_path / "found.json"
    process = alone.start(
        "-m", "bench.training", "--quick", "--minutes", "0.02", "--json", str(kept)
    )
    out, error = process.communicate()
    assert process.returncode == 0, error
    assert "not everything was measured: " in error and "0.02 minutes" in error
    assert "NOT MEASURED: plain loop: Diffusion-DPO" in out
    assert json.loads(kept.read_text(encoding="utf-8"))["measured"] == {}

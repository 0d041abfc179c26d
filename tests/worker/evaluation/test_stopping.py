"""An evaluation that is stopped in the middle of a picture leaves nothing, at once, and says one sentence."""

import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from method.training.config_reading import load_config, write_yaml
from tests.stopping import QUICK, stop_when


@pytest.fixture
def slow(stage_1: Path, tmp_path: Path) -> Path:
    """A finished run whose samples take minutes each."""
    folder = tmp_path / "slow"
    shutil.copytree(stage_1, folder, ignore=shutil.ignore_patterns("evaluation", "checkpoints"))
    config = load_config(folder / "config.yaml")
    samples = replace(config.samples, steps=900)
    (folder / "config.yaml").write_text(write_yaml(replace(config, samples=samples)))
    return folder


@pytest.mark.parametrize(
    ("module", "said", "number"),
    [
        ("worker.evaluation", "Loading the model.", signal.SIGINT),
        ("worker.evaluation", "Generating base: 1 of", signal.SIGTERM),
        ("app.cli", "Generating base: 1 of", signal.SIGINT),
    ],
)
def test_a_stop_leaves_nothing_and_says_one_sentence(
    slow: Path, module: str, said: str, number: signal.Signals
) -> None:
    command = [module, *(["evaluate"] if module == "app.cli" else []), str(slow), "--prompts", "2"]
    ending = stop_when(command, said, number)
    assert ending.lines[-1] == "Stopped; nothing was kept"
    assert not any("Traceback" in line for line in ending.lines)
    assert ending.code == (1 if module == "app.cli" else 130)
    assert ending.seconds < QUICK
    assert [path.name for path in (slow / "evaluation").glob("*")] in ([], [".lock"])
